"""A whole kernel of its own, in QEMU, for a machine whose kernel lacks features or whose user is not root.

`kernel.py` finds a kernel, `initramfs.py` makes what it starts with (`init` and `settle` are the guest's own side),
`qemu.py` starts it, `run.py` lives through a guest's life. The guest sees this machine's files at their own paths; what
it writes goes into its memory and ends with it, except in directories that are shared for writing. It has no network.
"""
