"""Network Watcher's answers: what the model knows, in ARM's shapes. Pure.

ids           resource ids, as ARM writes them
question      whose flow, which way: what a person asks, resolved
flow          IP flow verify, and the network configuration diagnostic that tells each rule
walk          the whole way of a packet, step by step, as data
connectivity  the connectivity check: hops, and what is wrong at them
routes        effective routes, next hop
rules         effective security rules, security group view
topology      resources and how they hang together

Field names and values are those of the REST API of 2020 and later, which `az … -o json` prints. Names of rules have a
prefix there that differs from one answer to the other (NSG-35, NSG-36).
"""
