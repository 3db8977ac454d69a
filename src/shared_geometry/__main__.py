"""The command ``shared-geometry``, also ``python -m shared_geometry``."""

import signal
import sys


def main() -> None:
    """Run the command line; Control-C while it is still being read ends it in a line, too."""
    try:
        from shared_geometry.cli import main as command
    except KeyboardInterrupt:
        print("stopped before anything was begun", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)  # as shells have it
    command()


if __name__ == "__main__":
    main()
