"""A lab's life: up, status, down, and what lies between a crash and the next command.

folder       where a lab keeps what it makes, its record, its lock; finding labs
names        /run/netns and /etc/netns: the names under which other tools find a lab's machines
interrupts   Ctrl-C and SIGTERM, held back until a step is done
missing      what should be there and is not
start        starts daemons and programs
requirements what a machine must have; refuses before anything is touched
up           brings a lab up
down         removes a lab
status       what is there
enter        runs a program inside
"""
