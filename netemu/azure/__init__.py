"""Azure: the resources, and Azure's behaviour as pure functions over them.

resources   what a person writes, in ARM's property names
network     the resources resolved: addresses allocated, references followed; all later stages start from it
given       what a lab keeps from one version of its scenario to the next
tags        service tags and their prefixes
prefixes    sets of addresses and ports
flow        who sends what to whom, and the packet that carries it
security    effective security rules, and which one decides
routing     effective routes, and which one decides
placement   which NIC is where, with its rules and routes; who owns which address
choosing    what nobody can foretell, and all ways that come of it
load_balancing  who listens at a frontend, and which backends a packet may go to
edge        translations at the internet edge
blocked     packets that are carried nowhere
steps       what a verdict is made of
walk        the way of one packet, step by step
verdict     what becomes of a flow: `Engine` and `judge`

This package speaks ARM's vocabulary only, imports nothing else of ours and never touches the system.
"""
