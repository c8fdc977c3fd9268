"""Azure: the resources, and Azure's behaviour as pure functions over them.

resources   what a person writes, in ARM's property names
network     the resources resolved: addresses allocated, references followed; all later stages start from it
tags        service tags and their prefixes

This package speaks ARM's vocabulary only, imports nothing else of ours and never touches the system.
"""
