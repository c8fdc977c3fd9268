"""Nothing lies upon anything else, and everything is inside what it belongs to."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from netemu.azure.network import Network
from netemu.draw.connectors import connectors
from netemu.draw.geometry import Rect, columns, extent, pack, shelves
from netemu.draw.layout import layout

SIZES = st.lists(st.tuples(st.floats(10, 500), st.floats(10, 500)), min_size=1, max_size=20)


def test_cards_do_not_overlap(network: Network) -> None:
    rectangles = sorted((card.rect for card in layout(network).cards), key=lambda rect: rect.y)
    assert not any(a.overlaps(b) for a, b in combinations(rectangles, 2))


def test_there_is_one_card_for_each_nic_host_load_balancer_and_idle_public_ip(network: Network) -> None:
    used = {config.publicIP.name for _, config in network.addresses() if config.publicIP}
    used |= {frontend.publicIP.name for frontend in network.frontends() if frontend.publicIP}
    used |= {"gw"} if "gw" in network.natGateways else set()
    wanted = len(network.nics) + len(network.hosts) + len(network.loadBalancers) + len(set(network.publicIPs) - used)
    assert len(layout(network).cards) == wanted


def test_load_balancers_stand_where_they_are_reached_and_lead_to_their_backends(network: Network) -> None:
    picture = layout(network)
    outside = {card.content.key for card in picture.hosts}
    lines = [line for line in connectors(network, picture) if line.kind == "balancing"]
    for balancer in network.loadBalancers.values():
        assert (f"loadBalancers/{balancer.name}" in outside) == balancer.is_public
        behind = {member.nic.name for pool in balancer.pools.values() for member in pool.members}
        told = {nic for line in lines if line.tooltip.startswith(f"{balancer.name} → ") for nic in
                line.tooltip.removeprefix(f"{balancer.name} → ").split(", ")}  # fmt: skip
        assert behind <= told
    assert bool(lines) == any(pool.members for each in network.loadBalancers.values() for pool in each.pools.values())


def test_subnets_and_networks_hold_what_is_theirs(network: Network) -> None:
    picture = layout(network)
    whole = Rect(0, 0, picture.width, picture.height)
    assert not any(a.rect.overlaps(b.rect) for a, b in combinations(picture.panels, 2))
    for panel in picture.panels:
        assert whole.contains(panel.rect)
        assert not any(a.rect.overlaps(b.rect) for a, b in combinations(panel.lanes, 2))
        for lane in panel.lanes:
            assert panel.rect.contains(lane.rect)
            assert all(lane.rect.contains(card.rect) for card in lane.cards)
            assert all(lane.rect.contains(chip.rect) for chip in lane.chips)
            inside = [*lane.cards, *lane.chips]
            assert not any(a.rect.overlaps(b.rect) for a, b in combinations(inside, 2))


def test_the_internet_holds_its_hosts(network: Network) -> None:
    picture = layout(network)
    assert (picture.cloud is None) == (not network.hosts and not network.publicIPs)
    if picture.cloud is not None:
        assert all(picture.cloud.contains(card.rect) for card in picture.hosts)
        assert not any(picture.cloud.overlaps(panel.rect) for panel in picture.panels)


def test_connectors_begin_and_end_inside_the_picture(network: Network) -> None:
    picture = layout(network)
    for line in connectors(network, picture):
        for x, y in (line.start, line.end):
            assert 0 <= x <= picture.width
            assert 0 <= y <= picture.height


def test_a_picture_is_no_ribbon(network: Network) -> None:
    picture = layout(network)
    assert 0.3 < picture.width / picture.height < 5


@given(SIZES, st.floats(10, 2000), st.floats(0, 50))
def test_shelves_keep_every_rectangle_in_order(sizes: list[tuple[float, float]], limit: float, gap: float) -> None:
    rows = shelves(sizes, limit, gap)
    assert [index for row in rows for index in row] == list(range(len(sizes)))
    assert all(len(row) == 1 or extent([row], sizes, gap)[0] <= limit + 0.001 for row in rows)


@given(SIZES, st.floats(0.3, 4))
def test_packing_loses_nothing(sizes: list[tuple[float, float]], aspect: float) -> None:
    assert [index for row in pack(sizes, 10, aspect) for index in row] == list(range(len(sizes)))


@given(st.integers(0, 1000))
def test_a_grid_is_about_square(count: int) -> None:
    assert 1 <= columns(count) <= max(1, count)
