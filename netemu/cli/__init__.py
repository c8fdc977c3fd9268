"""The command line: click commands, no logic. Each imports what it needs when it runs, so that `--help` is quick.

main        the `netemu` command, errors to exit codes
options     options and completions that several commands share
output      tables, JSON and YAML
life        up, down, ls, status
inside      exec, shell, capture
files       validate, schema, graph
proof       verify
machine     doctor, completion
"""
