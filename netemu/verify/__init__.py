"""Verification: packets, held against Azure's rules and against what the scenario expects.

frames    packets with a token of their own, by which they are known wherever they turn up
evidence  counters: which rule dropped or allowed a packet, and what that means in Azure's terms
due       which counters a verdict says must move
records   what the fabric still knows of earlier flows
observe   sends first packets into a lab and says what became of them
compare   expectation, verdict and packet, side by side
prove     every line of `expect`, many at once
names     lines about names: expected, answered by Azure, heard by the machine
asking    asks for a name as a machine does, with dns_messages
report    the three for people (table) and for programs (JSON, JUnit)
matrix    every pair, and every boundary of every rule
"""
