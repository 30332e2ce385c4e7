"""``python -m stageflow``: the command line of `stageflow.cli`."""

from stageflow.cli.__main__ import main

if __name__ == "__main__":
    main()
