"""What a plug-in may do wrong; the first value of an image says what is done with it."""

# ruff: noqa: T201 - printing is one of the things

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable

import numpy as np

_kept: list[np.ndarray] = []
_buffers: dict[tuple[int, ...], np.ndarray] = {}


def copy(image):
    return image.copy()


def os_exit(image):
    os._exit(0)


def exit_7(image):
    print("last words")
    os._exit(7)


def segmentation_fault(image):
    ctypes.string_at(0)


def abort(image):
    os.abort()


def kill_9(image):
    os.kill(os.getpid(), signal.SIGKILL)


def close_everything(image):
    os.closerange(0, 256)
    return image.copy()


def write_to_everything(image):
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"\0\0\0\4nope")
    return image.copy()


def loop(image):
    while True:
        pass


def native_loop(image):
    # Holds the interpreter's lock.
    ctypes.PyDLL(None).sleep(1000)


def sys_exit(image):
    sys.exit("bye")


def keyboard_interrupt(image):
    raise KeyboardInterrupt


def generator_exit(image):
    raise GeneratorExit


def base_exception(image):
    raise BaseException("base")


class OwnError(Exception):
    pass


def own_error(image):
    raise OwnError("no luck")


def unreadable_error(image):
    class Unreadable(Exception):
        def __str__(self):
            raise ValueError("no str")

    raise Unreadable


def long_error(image):
    raise ValueError("x" * 10_000_000)


def half_a_character(image):
    raise ValueError("\ud800")


def memory(image):
    np.ones(2**60, np.uint8)


def recursion(image):
    return recursion(image)


def nothing(image):
    return None


def float(image):
    return image.astype(np.float64)


def empty(image):
    return np.zeros((0, 0, 3), np.uint8)


def in_place(image):
    result = image.copy()
    image[:] = 0
    return result


def reshape_in_place(image):
    result = image.copy()
    image.shape = (-1, 1, 3)
    return result


def resize_in_place(image):
    result = image.copy()
    image.resize((1, 1, 3), refcheck=False)
    return result


def same_object(image):
    return image


def view(image):
    return image[:, ::-1][:, ::-1]


def masked(image):
    return np.ma.masked_array(image, mask=image > 3)


def strided(image):
    return np.asfortranarray(image)


def read_only(image):
    result = image.copy()
    result.flags.writeable = False
    image.flags.writeable = False
    return result


def keep(image):
    for earlier in _kept:
        earlier[...] = 255
    result = image.copy()
    _kept.append(image)
    _kept.append(result)
    return result


def change_later(image):
    result = image.copy()
    threading.Timer(0.005, lambda: result.fill(255)).start()
    return result


def reuse_a_buffer(image):
    buffer = _buffers.setdefault(image.shape, np.zeros_like(image))
    buffer[:] = image
    return buffer


def change_folder(image):
    os.chdir("/")
    return image.copy()


def print_much(image):
    sys.stdout.write("A" * 300_000)
    sys.stderr.write("B" * 300_000)
    return image.copy()


def close_stdout(image):
    with contextlib.suppress(OSError):
        os.close(1)
    return image.copy()


def handle_signals(image):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    signal.alarm(1)
    return image.copy()


def go_on_twice(image):
    if os.fork() == 0:
        # The next requests are answered meanwhile.
        time.sleep(0.003)
    return image.copy()


def start_threads(image):
    threading.Thread(target=time.sleep, args=(1000,)).start()
    return image.copy()


def strict_numpy(image):
    np.seterr(all="raise")
    return image.copy()


def strict_warnings(image):
    warnings.simplefilter("error")
    return image.copy()


def environment(image):
    os.environ.clear()
    os.environ["HARMED"] = "yes"
    return image.copy()


def exit_handler(image):
    atexit.register(lambda: time.sleep(1000))
    return image.copy()


def patch_duskbench(image):
    from duskbench.data_tools import images

    images.read_image = None
    return image.copy()


def heavy_modules(image):
    raise ValueError(f"modules: {', '.join({'torch', 'cv2', 'mmengine', 'pandas'} & set(sys.modules)) or 'none'}")


def five_fields(image):
    from duskbench.data_tools.errors import EnhancerError

    raise EnhancerError("a", where="b", expected="c", got="d", todo="e")


def weights_error(image):
    from duskbench.data_tools.errors import WeightsError

    raise WeightsError("no weights")


def unknown_name(image):
    from duskbench.data_tools.errors import UnknownNameError

    raise UnknownNameError("argument", "gama", ["gamma"])


def print_(image):
    print("to stdout äöü")
    print("to stderr", file=sys.stderr)
    return image.copy()


ACTIONS: dict[str, Callable] = {
    name.rstrip("_"): value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", None) == __name__ and not isinstance(value, type)
}


def act(image):
    return list(ACTIONS.values())[image[0, 0, 0]](image)
