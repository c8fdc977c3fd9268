"""The lab's own long-running process: keeps what the lab's parts need running.

supervise  daemons that end are started again
prober     asks the backends of load balancers: `attempt` is one question, `tally` what the answers amount to
carrier    carries out what the prober finds
idleness   resets connections of load balancers that have been idle

It lives in the fabric's namespace, so that `down` finds it like everything else, and changes only what the lab's lock
lets it change. `python -m netemu.agent LAB`; `up` starts it.
"""
