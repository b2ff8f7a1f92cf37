"""`python -m tracestore`: the command line, for where the console script is not on the path."""

from tracestore.cli import main

if __name__ == "__main__":
    main(prog_name="tracestore")
