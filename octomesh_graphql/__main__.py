"""The `octomesh` command: `octomesh --help` lists what it can do."""

import sys

from octomesh_graphql import __version__


def main() -> None:
    """Do what the command line says. Exit code 0: done; 1: it could not be done; 2: it was asked for wrongly."""
    if sys.argv[1:] == ["--version"]:
        print(__version__)
        return
    from octomesh_graphql.cli.commands import execute  # noqa: PLC0415  # it takes a while, --version should not

    sys.exit(execute(sys.argv[1:]))


if __name__ == "__main__":
    main()
