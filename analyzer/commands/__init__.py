"""Commands of ``proctor``: one module each, imported when its command is called.

Each holds a Typer application named ``app``; ``analyzer.cli`` lists them.
"""
