"""The compiler: Azure's model in, a desired Linux state out. Pure; one module for each part of the data plane.

numbering   interface names and indexes, marks, tables: the numbers that the parts agree on
routes      route tables, each the complete effective routes of its subnets
security    NSGs to chains
fabric      the virtual switch of all virtual networks
edge        translation between virtual networks and the internet
internet    the lab's internet and its hosts
machines    virtual machines
platform    168.63.129.16 of each virtual network: DNS
services    the parts of its ruleset that let services in
resolvers   DNS servers and their configuration
zone_files  what they know
lab         all of it

Where a packet's fate is decided, the rule has a counter and a comment; `evidence` names them, so that the verifier
can say which one it was. Azure's rules are read here apart from `netemu.azure`'s verdicts, on purpose: two readings,
held against each other and against packets.
"""
