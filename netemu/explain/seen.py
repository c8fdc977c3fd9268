"""What a real packet adds to an explanation: evidence, whether anybody listens, where it parts from Azure's rules."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from netemu.azure.flow import ICMP, protocol_name, protocol_number
from netemu.azure.steps import Verdict
from netemu.explain.explanation import Explanation
from netemu.linux.listeners import Listener
from netemu.verify.compare import against_rules
from netemu.verify.trial import Trial


class Seen(Struct, frozen=True):
    """In sentences, which begin with a capital letter and end with a point."""

    works: bool
    """The packet arrived, somebody there took it, and the answer came back."""
    evidence: tuple[str, ...]
    trouble: str | None = None
    """What keeps the flow from working though the network carries it."""
    remedy: str | None = None
    """What would change that."""
    parted: tuple[str, ...] = ()
    """Where the packet did something else than Azure's rules say."""


def seen(explanation: Explanation, trial: Trial) -> Seen:
    """What was seen."""
    found, verdict = trial.observation, explanation.verdict
    evidence, parted = tuple(_evidence(trial)), tuple(_parted(verdict, trial))
    if not (found.delivered and found.answered):
        return Seen(works=False, evidence=evidence, parted=parted)
    protocol = protocol_number(explanation.flow.protocol)
    trouble, remedy = (None, None) if found.receiver == "platform" else _nobody_there(protocol, trial)
    return Seen(works=trouble is None, evidence=evidence, trouble=trouble, remedy=remedy, parted=parted)


def _evidence(trial: Trial) -> Iterator[str]:
    found = trial.observation
    if found.error is not None:
        yield f"A probe could not be sent: {found.error}."
        return
    if found.delivered:
        way = f" through {', '.join(found.via)}" if found.via else ""
        answer = ", and its answer came back" if found.answered else ""
        yield f"A probe arrived at {found.receiver}{way} from {found.sourceSeenAs}{answer}."
    elif found.via:
        yield f"A probe came as far as {found.via[-1]}, and no further."
    if trial.decided is not None and trial.counted is not None:
        probe = "its answer" if found.delivered else "a probe"
        rule = f"rule `{trial.decided.rule}`" if trial.decided.rule is not None else f"`{trial.decided.stage}`"
        packets = "1 packet" if trial.counted == 1 else f"{trial.counted} packets"
        yield f"The kernel dropped {probe} by {rule} in {trial.decided.node}; {packets} counted."
    whose = "the answer's" if found.delivered and not found.answered else "the kernel's"
    for lookup in trial.routes:
        yield f"At {lookup.nic} {whose} route is {lookup.text}."


def _parted(verdict: Verdict, trial: Trial) -> Iterator[str]:
    """Rules and packet say different things."""
    found = trial.observation
    for text in against_rules(verdict, found):
        yield f"{text[0].upper()}{text[1:]}."
    for text in trial.differences:
        yield f"{text[0].upper()}{text[1:]}."
    if found.delivered and verdict.access == "Deny" and found.via:
        who = ", ".join(f"`{name}`" for name in found.via)
        yield f"Programs in {who} may do what the scenario does not tell, such as translating addresses."


def _nobody_there(protocol: int, trial: Trial) -> tuple[str | None, str | None]:
    """Why nobody takes what has arrived, and what would change that."""
    found, where = trial.observation, trial.observation.receiver
    service = f"{protocol_name(protocol)}/{trial.port}" if trial.port is not None else protocol_name(protocol)
    if trial.listened is False:
        return _not_listening(service, trial)
    if found.own_answer == "refused":
        return f"But {where} refuses the connection to {service}.", f"look at the firewall inside {where}"
    if found.own_answer is None and (trial.listened or protocol == ICMP) and not _is_udp(protocol):
        who = next((each.program for each in trial.waiting if each.port == trial.port and each.program), "a program")
        listens = f", though {who} listens at {service} there" if trial.listened else ""
        return (
            f"But {where} itself does not answer{listens}.",
            f"look at the firewall inside {where} (`nft list ruleset`), and at what its programs do",
        )
    return None, None


def _is_udp(protocol: int) -> bool:
    """Whether a program answers a datagram is its own affair."""
    return protocol_name(protocol) == "Udp"


def _not_listening(service: str, trial: Trial) -> tuple[str, str]:
    found, where = trial.observation, trial.observation.receiver
    elsewhere = [each for each in trial.waiting if each.port == trial.port]
    if elsewhere:
        only = " and ".join(f"{each.address}:{each.port}" for each in elsewhere)
        who = elsewhere[0].program or "a program"
        return (
            f"But in {where} {who} listens at {only} only, and the packet is for {found.destinationSeenAs}.",
            f"let it listen at 0.0.0.0:{trial.port}, or at {found.destinationSeenAs}:{trial.port}",
        )
    refused = ", and its system refuses the connection" if found.own_answer == "refused" else ""
    others = f" It listens at {', '.join(map(_spoken, trial.waiting))}." if trial.waiting else ""
    return (
        f"But nothing in {where} listens at {service}{refused}.{others}",
        "start a program there that does, for example by `run` in the scenario, or ask for another port",
    )


def _spoken(listener: Listener) -> str:
    name = f" ({listener.program})" if listener.program else ""
    at = f"{listener.address}:" if listener.address is not None else ""
    return f"{listener.protocol.capitalize()}/{at}{listener.port}{name}"
