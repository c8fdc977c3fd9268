"""A lab as the kernel has it: what Network Watcher is asked, read back from namespaces instead of the model.

plane    the namespaces of a lab, opened: interfaces and what is behind them, routes, rulesets
hop      where a route leads, in Azure's words, by the model and by the kernel
gates    what the NSGs that the fabric asks at a NIC say to a packet
way      the way of a packet, followed from namespace to namespace
edge     the part of it that translates
beside   the two ways side by side: where they part
routes   the effective routes of a NIC, address by address
rules    the effective security rules of a NIC, on both sides of every boundary
samples  which packets rules are asked about
questions  all of it for the commands, with what disagrees

Nothing here sends a packet or changes anything. Routes are the kernel's own answers (RTM_GETROUTE with the packet's
mark), rules are followed in the ruleset that is loaded, interfaces are found by their other ends.
"""
