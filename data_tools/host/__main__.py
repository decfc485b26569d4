"""The process that a plug-in runs in. Started by path, with nothing imported from duskbench before it knows where from.

`__main__.py CONNECTION INPUTS OUTPUTS TRACES LIFELINE`, all file descriptors: where requests come from, the memory
they and the replies lie in, where a crash writes its traceback, and a pipe that is held open. See `process.py`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path


def main(connection: int, inputs: int, outputs: int, traces: int) -> None:
    """Serve requests until the other end of the connection is closed."""
    faulthandler.enable(traces, all_threads=False)
    # How the other side asks what a plug-in that takes too long is doing.
    faulthandler.register(signal.SIGUSR1, traces, all_threads=False)
    with contextlib.suppress(OSError):
        # When memory runs out, this process ends and not the run.
        Path("/proc/self/oom_score_adj").write_text("500")
    channel = Connection(connection)
    try:
        request = json.loads(channel.recv_bytes())
    except EOFError:
        return
    sys.path[:] = request["search_path"]
    # A plug-in that reads the command line finds none.
    del sys.argv[1:]
    from duskbench.data_tools.host.serve import serve

    serve(channel, inputs, outputs, request)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))
