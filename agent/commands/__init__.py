"""Commands of ``proctor-agent``: one module each, imported only when it is asked for.

Every module has ``main(arguments) -> exit code``. Data goes to stdout, everything else to stderr.
"""
