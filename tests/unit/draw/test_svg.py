"""The SVG is well-formed, complete, deterministic, and no text leaves its card."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from netemu.azure.network import Network
from netemu.draw.svg import svg
from netemu.draw.text import BOLD, MONO, REGULAR, escape, fit, width

SVG = "{http://www.w3.org/2000/svg}"


def test_it_is_well_formed_and_holds_nothing_but_drawing(network: Network) -> None:
    root = ElementTree.fromstring(svg(network))
    assert root.tag == f"{SVG}svg"
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "style", "defs", "marker", "g", "rect", "path", "circle", "text", "use"}


def test_every_name_and_address_is_in_it(network: Network) -> None:
    said = {
        text for element in ElementTree.fromstring(svg(network)).iter() for text in (element.text or "").split("\n")
    }
    everything = "\n".join(said)

    def shown(text: str) -> bool:
        return "".join(ElementTree.fromstring(f"<a>{escape(text)}</a>").itertext()) in everything

    for virtual_network in network.virtualNetworks.values():
        assert shown(virtual_network.name)
        assert all(shown(str(prefix)) for prefix in virtual_network.addressSpace)
    for subnet in network.subnets():
        assert shown(subnet.name)
        assert shown(str(subnet.prefix))
    for machine in network.machines.values():
        assert shown(machine.name)
    for nic, config in network.addresses():
        assert shown(nic.name)
        assert str(config.address) in everything
    for ip in network.publicIPs.values():
        assert shown(ip.name)
        assert str(ip.address) in everything
    for balancer in network.loadBalancers.values():
        assert shown(balancer.name)
        assert all(shown(name) for each in (balancer.pools, balancer.loadBalancingRules, balancer.probes) for name in each)
        assert all(str(frontend.address) in everything for frontend in balancer.frontends.values())
    for host in network.hosts.values():
        assert shown(host.name)
        assert str(host.address) in everything


def test_equal_networks_give_equal_pictures(network: Network) -> None:
    assert svg(network) == svg(network)


def test_no_text_leaves_the_picture(network: Network) -> None:
    root = ElementTree.fromstring(svg(network))
    right = float(root.attrib["viewBox"].split()[2])
    for text in root.iter(f"{SVG}text"):
        classes = text.attrib["class"].split()
        face = MONO if "mono" in classes else BOLD if "bold" in classes else REGULAR
        end = float(text.attrib["x"]) + width(text.text or "", float(text.attrib["font-size"]), face)
        assert float(text.attrib["x"]) >= 0
        assert end <= right + 0.5, text.text


def test_no_text_leaves_its_card(network: Network) -> None:
    for group in ElementTree.fromstring(svg(network)).iter(f"{SVG}g"):
        boxes = group.findall(f"{SVG}rect")
        if not boxes:
            continue
        left, across = float(boxes[0].attrib["x"]), float(boxes[0].attrib["width"])
        top, high = float(boxes[0].attrib["y"]), float(boxes[0].attrib["height"])
        for text in group.findall(f"{SVG}text"):
            classes = text.attrib["class"].split()
            face = MONO if "mono" in classes else BOLD if "bold" in classes else REGULAR
            size = float(text.attrib["font-size"])
            x, y = float(text.attrib["x"]), float(text.attrib["y"])
            assert left <= x
            assert x + width(text.text or "", size, face) <= left + across + 0.2, text.text
            assert top <= y - size * 0.7
            assert y <= top + high


def test_it_follows_the_colour_scheme_of_the_viewer(network: Network) -> None:
    assert "@media (prefers-color-scheme: dark)" in svg(network)


def test_a_style_class_that_is_used_is_one_that_exists(network: Network) -> None:
    picture = svg(network)
    style = picture[picture.index("<style>") : picture.index("</style>")]
    used = {name for classes in re.findall(r' class="([^"]*)"', picture) for name in classes.split()}
    assert not {name for name in used if f".{name} " not in style and f".{name}." not in style}


@pytest.mark.parametrize("face", [REGULAR, BOLD, MONO])
def test_a_shortened_text_fits_and_a_short_one_is_left_alone(face: str) -> None:
    assert fit("web1", 100, 12, face) == "web1"
    for room in (5, 20, 40, 80):
        short = fit("a-very-long-name-for-a-machine", room, 12, face)
        assert short.endswith("…")
        assert width(short, 12, face) <= max(room, width("…", 12, face))


def test_width_grows_with_every_letter() -> None:
    texts = ["web" * count for count in range(6)]
    assert all(width(a, 12) < width(b, 12) for a, b in pairwise(texts))
    assert width("漢字", 12) > width("ab", 12)
    assert width("e\u0301", 12) == width("e", 12)
