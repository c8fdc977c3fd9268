"""Linux: the only package that touches the kernel. It knows nothing of Azure.

state        the vocabulary of a desired state: namespaces, veth pairs, addresses, routes, rules, neighbours
rtnetlink    encodes rtnetlink messages and sends them in batches
namespaces   makes, enters and names network namespaces; mounts
nftables     applies and reads rulesets through libnftables
processes    starts programs in a namespace and finds those that run there
build        brings a namespace from nothing to its desired state

State types are plain values: `netemu.compile` builds them and touches nothing.
"""
