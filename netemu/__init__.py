"""netemu: Azure networking with real packets, on one Linux machine."""

__version__ = "0.1.0"
