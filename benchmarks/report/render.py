"""From a page's values to one HTML file that fetches nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from duskbench.benchmarks.report.charts import CURVE_UNITS
from duskbench.benchmarks.report.content import ReportContent
from duskbench.benchmarks.report.figures import unit_scale
from duskbench.benchmarks.report.page import build_page

_ASSETS = Path(__file__).with_name("assets")
_STYLES = ("style.css", "charts.css", "viewer.css")
_SCRIPTS = ("page.js", "viewer.js")


def render_report(content: ReportContent) -> str:
    """Render a report; the same content gives the same bytes.

    Every value is escaped; a policy in the page forbids whatever is not in the file.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    page = build_page(content)
    environment = Environment(
        loader=FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = "\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in _STYLES)
    script = "\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    return environment.get_template("page.html.j2").render(
        page=page,
        unit=unit_scale(),
        units=CURVE_UNITS,
        policy=_policy(style, script),
        # Our own files, not a run's values: they hold neither `</style` nor `</script`.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        data=Markup(json_in_html(page.viewer)),  # noqa: S704 - escaped by json_in_html
    )


def json_in_html(value: Any) -> str:
    """Strict JSON that no HTML parser can read as markup."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(style: str, script: str) -> str:
    """A content security policy: no request of any kind, only this style, this script and pictures inside the file."""
    parts = [
        "default-src 'none'",
        "img-src data:",
        f"style-src '{_digest(style)}'",
        f"script-src '{_digest(script)}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(parts)


def _digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode("utf-8")).digest()).decode("ascii")
