"""Verification: packets, held against Azure's rules and against what the scenario expects.

probes    a packet with a token of its own, for each flow; scapy builds and dissects it
evidence  counters: which rule dropped or allowed it, and what that means in Azure's terms
observe   sends a probe into a lab and says what became of it
compare   expectation, verdict and packet, side by side
report    the three for people (table) and for programs (JSON, JUnit)
"""
