"""Draw: pictures of a resolved network, as pure functions from `Network` to text.

mermaid     a flowchart for Markdown pages
dot         a Graphviz graph with a cluster per virtual network and subnet
svg         a finished picture, with a layout of its own: nothing needs to be installed to look at it

relations   what joins the parts of a network: peerings as pairs, routes that lead to an appliance
contents    what is written on the card of a machine, a NIC or an internet host
geometry    rectangles, and the packing of rectangles into rows
layout      where everything stands
connectors  the lines between what stands somewhere
appearance  colours, for light and dark screens, and icons
text        how wide a text is, how it is shortened, and which characters may be written

Equal networks give equal pictures, byte for byte.
"""

from __future__ import annotations

from netemu.azure.network import Network


def draw(network: Network, form: str) -> str:
    """The picture of a network as `svg`, `mermaid` or `dot`."""
    if form == "svg":
        from netemu.draw.svg import svg

        return svg(network)
    if form == "mermaid":
        from netemu.draw.mermaid import mermaid

        return mermaid(network)
    from netemu.draw.dot import dot

    return dot(network)
