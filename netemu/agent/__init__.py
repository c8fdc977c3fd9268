"""The lab's own long-running process: keeps what the lab's parts need running.

It lives in the fabric's namespace, so that `down` finds it like everything else, and changes only what the lab's lock
lets it change. `python -m netemu.agent LAB`; `up` starts it.
"""
