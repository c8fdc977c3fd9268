"""What DNS on Azure answers: one reading of the rules; `compile/names` is another one, written apart from it.

zones     which zones a resolver knows: the platform's in a virtual network, anybody's on the internet
lookup    what is looked up in them: CNAMEs, wildcards, what does not exist
asking    what a machine hears when it asks by its own resolver
"""

from __future__ import annotations

from netemu.azure.names.asking import Names, Resolution
from netemu.azure.names.lookup import Answer, Status

__all__ = ["Answer", "Names", "Resolution", "Status"]
