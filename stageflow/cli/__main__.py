"""``stageflow`` and ``python -m stageflow``: a command from its words to its exit code."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDS = ("typer", "rich", "msgspec")


def main() -> None:
    """Runs the command that the process was started with, and exits.

    What cannot be done is one clear text on standard error, and with ``--json`` an object on standard output too.
    """
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        print(f"stageflow: the command line needs {', '.join(missing)}: pip install 'stageflow[cli]'", file=sys.stderr)
        sys.exit(2)
    from stageflow.cli.app import app  # noqa: PLC0415  (it needs what was just looked for)
    from stageflow.cli.as_data import json_text  # noqa: PLC0415  (the same)
    from stageflow.cli.exit_codes import CommandError, ExitCode  # noqa: PLC0415  (the same)

    try:
        app(prog_name="stageflow")
    except CommandError as error:
        if "--json" in sys.argv:
            print(json_text({"error": str(error), "code": int(error.code)}))
        print(f"stageflow: {error}", file=sys.stderr)
        sys.exit(error.code)
    except KeyboardInterrupt:
        print("stageflow: interrupted", file=sys.stderr)
        sys.exit(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    main()
