"""What the rulesets of a namespace do with a packet: followed here, rule by rule, as the kernel would.

The packet is the first of a flow, or the answer to one that was followed before: dynamic sets are taken as empty, and
hold what packets followed here have written. What cannot be followed (a limit, a random number) raises
NotUnderstoodError with the rule's text.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from netemu.linux.ruleset_expressions import Asking, MissError, PacketState
from netemu.linux.ruleset_view import NotUnderstoodError, ReadChain, ReadRule, RulesetView

DEEPEST = 16
"""NFT_JUMP_STACK_SIZE."""

Written = dict[tuple[str, str, str], set[Any]]
"""What followed packets have written into dynamic sets, by family, table and name."""


class Hit(Struct, frozen=True):
    """A rule that the packet matched and that counts, has a comment or ended its way."""

    rule: ReadRule
    packets: int | None
    """What its counter says; None when it has none."""


class Passage(Struct):
    """What a hook, or a chain, did with a packet."""

    dropped: bool = False
    by: Hit | None = None
    """The rule that dropped it; None for a chain's policy."""
    policy: str | None = None
    """The chain whose policy dropped it."""
    hits: list[Hit] = field(default_factory=list)
    recorded: bool = False
    """A record that an earlier packet left was found."""
    translated: bool = False


class Follower:
    """Follows packets through one namespace. What they write into dynamic sets stays for those that come after."""

    def __init__(self, view: RulesetView) -> None:
        self.view = view
        self.written: Written = {}

    def hook(self, name: str, packet: PacketState, chains: list[ReadChain] | None = None) -> Passage:
        """Run the base chains of a hook, or some of them; the packet's mark and addresses may change."""
        passage = Passage()
        for chain in self.view.hook(name) if chains is None else chains:
            if chain.kind == "nat" and packet.state != "new":
                continue
            verdict = self._run(chain, packet, passage, 1)
            if verdict is None and chain.drops:
                passage.dropped, passage.policy = True, chain.name
            if passage.dropped:
                break
        return passage

    def chain(self, family: str, table: str, name: str, packet: PacketState) -> Passage:
        """Run one chain, as if it were jumped to."""
        passage = Passage()
        self._run(self._chain(family, table, name), packet, passage, 1)
        return passage

    def _chain(self, family: str, table: str, name: str) -> ReadChain:
        found = self.view.chains.get((family, table, name))
        if found is None:
            raise NotUnderstoodError(f"there is no chain {name}")
        return found

    def _run(self, chain: ReadChain, packet: PacketState, passage: Passage, depth: int) -> str | None:
        """`accept` or `drop`; None when the end was reached, or `return`."""
        if depth > DEEPEST:
            raise NotUnderstoodError(f"chain {chain.name} is jumped to from too far away")
        for rule in chain.rules:
            try:
                verdict = self._rule(rule, packet, passage)
            except MissError:
                continue
            except NotUnderstoodError as error:
                raise NotUnderstoodError(f"{self.view.text(rule)}: {error}") from None
            word, target = _verdict(verdict)
            if word in ("accept", "drop"):
                return word
            if word == "return":
                return None
            if target is not None:
                ended = self._run(self._chain(rule.family, rule.table, target), packet, passage, depth + 1)
                if ended is not None or word == "goto":
                    return ended
        return None

    def _rule(self, rule: ReadRule, packet: PacketState, passage: Passage) -> Any:
        """The rule's verdict, None to go on with the next; MissError when it does not match."""
        asking = Asking(self.view, self.written, rule, packet)
        packets: int | None = None
        verdict: Any = None
        for statement in rule.expressions:
            (word, content), *_ = statement.items()
            if word == "match":
                if not asking.matches(content):
                    raise MissError
            elif word == "vmap":
                verdict = asking.look_up(content)
                if verdict is None:
                    raise MissError
            elif word == "counter":
                packets = content["packets"] if isinstance(content, dict) else None
            elif word in ("accept", "drop", "return", "jump", "goto", "reject"):
                verdict = statement
            elif word in ("snat", "dnat"):
                asking.translate(word, content)
                passage.translated = True
                verdict = {"accept": None}
            else:
                asking.act(word, content)
        passage.recorded |= asking.recorded
        ended, _ = _verdict(verdict)
        hit = Hit(rule, packets)
        if packets is not None or rule.comment or ended in ("accept", "drop"):
            passage.hits.append(hit)
        if ended == "drop":
            passage.dropped, passage.by = True, hit
        return verdict


def _verdict(statement: Any) -> tuple[str | None, str | None]:
    """The word of a verdict and the chain that it leads to. To reject is to drop, with an answer."""
    if statement is None:
        return None, None
    (word, content), *_ = statement.items()
    if word == "reject":
        return "drop", None
    return word, content["target"] if word in ("jump", "goto") else None
