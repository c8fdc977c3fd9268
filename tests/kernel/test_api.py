"""The Python API, and labs that are always taken down, however the program ends that has brought them up."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from harness import rule

from netemu import Lab, PersonError, ScenarioError, SystemRefusal
from netemu.lab.folder import LabFolder
from netemu.linux import processes

ROOT = Path(__file__).parents[2]
DEADLINE = 30.0
NETWORK = f"""
name: api
virtualNetworks:
  net: {{addressSpace: 10.0.0.0/16, subnets: {{
    front: {{addressPrefix: 10.0.1.0/24}}, back: {{addressPrefix: 10.0.2.0/24, networkSecurityGroup: nsg}}}}}}
networkSecurityGroups:
  nsg:
    securityRules:
      web: {rule(100, "Inbound", "Allow", "Tcp", port="80")}
      rest: {rule(200, "Inbound", "Deny")}
publicIPAddresses: {{front-ip: {{sku: Basic}}}}
virtualMachines: {{client: {{subnet: net/front, publicIPAddress: front-ip}}, server: {{subnet: net/back}}}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}}}}}
expect:
  - {{from: client, to: server, port: 80, access: Allow, rule: web, name: the web is open}}
  - {{from: client, to: server, port: 22, access: Deny, rule: rest}}
"""


@pytest.fixture(scope="module", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state directory of this module's own: nothing may be left in it."""
    directory = tmp_path_factory.mktemp("state") / "labs"
    before = os.environ.get("NETEMU_STATE_DIR")
    os.environ["NETEMU_STATE_DIR"] = str(directory)
    try:
        yield directory
        assert not directory.exists(), f"left behind: {os.listdir(directory)}"
    finally:
        if before is None:
            del os.environ["NETEMU_STATE_DIR"]
        else:
            os.environ["NETEMU_STATE_DIR"] = before


@pytest.fixture(scope="module")
def lab(state: Path) -> Iterator[Lab]:
    with Lab(NETWORK) as lab:
        yield lab


def traces(name: str) -> list[str]:
    """Whatever is left of a lab."""
    named = [Path("/run/netns"), Path("/etc/netns")]
    found = [entry for where in named if where.is_dir() for entry in os.listdir(where) if entry.startswith(f"{name}.")]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if name in line]
    return found + ([str(LabFolder(name).path)] if LabFolder(name).exists() else [])


def programs(lab: Lab, machine: str) -> list[str]:
    """Command lines of all that runs in a machine."""
    where = processes.identity(LabFolder(lab.name).namespace(machine))
    return [processes.command_line(pid) for pid, _ in processes.inside({where})]


def wait_until(what: Callable[[], object], why: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < deadline, f"in vain: {why}"
        os.sched_yield()


# ---- questions -------------------------------------------------------------------------------------------------------


def test_reaches_says_yes_and_why(lab: Lab) -> None:
    reach = lab.reaches("client", "server", port=80)
    assert reach
    assert (reach.access, reach.answered, reach.receiver) == ("Allow", True, "server")
    assert (reach.networkSecurityGroup, reach.rule) == ("nsg", "web")
    assert (reach.sourceSeenAs, reach.disagreements) == (str(lab.address("client")), ())
    assert [(c.rule, c.dropped, c.packets) for c in reach.counted] == [("web", False, 1)]
    assert "allows Tcp" in "\n".join(reach.steps)


def test_reaches_says_no_and_why(lab: Lab) -> None:
    reach = lab.reaches("client", "server", port=22)
    assert not reach
    assert (reach.access, reach.answered, reach.receiver, reach.stage) == ("Deny", False, None, "nsg-in")
    assert (reach.networkSecurityGroup, reach.rule) == ("nsg", "rest")
    assert repr(reach) == "<client → server Tcp/22: was denied by rule rest (200) of nsg, inbound at server-nic>"
    text = str(reach).splitlines()
    assert text[1] == "  by Azure's rules:"
    assert text[-1] == "  counted: nsg/rest: 1 dropped"


def test_explain_says_what_would_change_it(lab: Lab) -> None:
    text = lab.explain("client", "server", port=22)
    assert text.startswith("client → server Tcp/22 does not work.")
    assert "The kernel dropped a probe by rule `rest`" in text
    assert "would let it through" in text
    assert "nothing in server listens at Tcp/80" in lab.explain("client", "server", port=80)


@pytest.mark.parametrize(
    ("source", "to", "asked", "access"),
    [
        ("client", "server", {"protocol": "Icmp"}, "Deny"),
        ("server", "client", {"protocol": "Icmp"}, "Allow"),
        ("server", "client", {"protocol": "Udp", "port": 53}, "Allow"),
        ("client-nic", "server", {"port": 80}, "Allow"),
        ("client", "visitor", {"port": 443}, "Allow"),
        ("visitor", "front-ip", {"port": 80}, "Allow"),
        ("visitor", "10.0.1.4", {"port": 80}, "Deny"),
        ("client", "10.0.1.77", {"port": 80}, "Deny"),
        ("client/10.0.1.9", "server", {"port": 80}, "Deny"),
        ("client", "server", {"port": 80, "source_port": 7777}, "Allow"),
        ("client", "client", {"port": 80}, "Allow"),
    ],
)
def test_every_kind_of_flow_can_be_asked_for(
    lab: Lab, source: str, to: str, asked: dict[str, object], access: str
) -> None:
    reach = lab.reaches(source, to, **asked)  # type: ignore[arg-type]
    assert (reach.access, reach.disagreements) == (access, ()), reach
    assert (bool(reach)) is (access == "Allow")


@pytest.mark.parametrize(
    ("source", "to", "asked", "words"),
    [
        ("cleint", "server", {"port": 1}, "has no machine, NIC or internet host 'cleint'; there are: client, server"),
        ("client", "sevrer", {"port": 1}, "sevrer is neither a virtual machine"),
        ("client/x", "server", {"port": 1}, "'x' is no IPv4 address"),
        ("client", "server", {}, "client to server: which Tcp port? say `port=`"),
        ("client", "server", {"protocol": "Icmp", "port": 1}, "Icmp has no ports"),
        ("client", "server", {"protocol": "tcp", "port": 1}, "'tcp' is no protocol to ask for; say one of Tcp, Udp, Icmp"),
        ("client", "server", {"port": 65536}, "65536 is no port"),
    ],
)
def test_a_question_that_cannot_be_right_is_refused(
    lab: Lab, source: str, to: str, asked: dict[str, object], words: str
) -> None:
    with pytest.raises(PersonError) as caught:
        lab.reaches(source, to, **asked)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_verify_proves_every_line(lab: Lab) -> None:
    found = lab.verify()
    assert found, found
    assert [(line.number, line.name, line.reach.rule) for line in found.lines] == [
        (1, "the web is open", "web"), (2, "client → server Tcp/22 is Deny", "rest"),
    ]  # fmt: skip


def test_the_matrix_asks_every_pair(lab: Lab) -> None:
    found = lab.matrix()
    assert found, found
    assert found.flows > 50
    assert found.reach("client-nic", "server-nic") == {"Tcp": [[80, 80]]}
    with pytest.raises(KeyError):
        found.reach("client-nic", "nobody")


def test_a_line_that_is_not_so_is_told(state: Path) -> None:
    with Lab(NETWORK.replace("rule: web,", "rule: rest,")) as wrong:
        found = wrong.verify()
        assert [line.number for line in found.failed] == [1]
        assert "expected rule rest, but by Azure's rules it is web" in str(found)
        assert not found


def test_what_the_kernel_does_otherwise_is_told(state: Path) -> None:
    with Lab(NETWORK) as broken:
        done = broken_ruleset(broken, "flush chain ip netemu inbound/nsg/net")
        assert done.returncode == 0, done.stderr
        reach = broken.reaches("client", "server", port=22)
        assert reach
        assert "Azure's rules say Deny (nsg/rest), but the packet arrived at server" in reach.disagreements[0]
        assert "Azure's rules say Deny" in str(reach)
        assert not broken.matrix()


def broken_ruleset(lab: Lab, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ip", "netns", "exec", f"{lab.name}.@fabric", "nft", text], capture_output=True, text=True, check=False
    )


# ---- machines --------------------------------------------------------------------------------------------------------


def test_a_program_runs_in_the_machine_and_finds_its_surroundings(lab: Lab, tmp_path: Path) -> None:
    client = lab.vm("client")
    assert (client.name, client.address) == ("client", IPv4Address("10.0.1.4"))
    done = client.run(["sh", "-c", "hostname; hostname -I; cat; echo error >&2; exit 3"], input="given\n")
    assert (done.returncode, done.stdout.split(), done.stderr) == (3, ["client", "10.0.1.4", "given"], "error\n")
    with contextlib.chdir(tmp_path):
        assert client.run(["pwd"]).stdout.strip() == str(tmp_path)
    code = "import os; print(os.environ['NETEMU_LAB'], os.environ['NETEMU_NODE'], os.environ['MINE'], 'PATH' in os.environ)"
    assert client.run([sys.executable, "-c", code], env={"MINE": "x"}).stdout.split() == [lab.name, "client", "x", "True"]
    assert lab.vm("visitor").run(["cat", "/etc/hostname"]).stdout.strip() == "visitor"


def test_a_program_can_fail_as_with_subprocess(lab: Lab) -> None:
    client = lab.vm("client")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        client.run(["sh", "-c", "echo no >&2; exit 4"], check=True)
    assert (failed.value.returncode, failed.value.stderr) == (4, "no\n")
    with pytest.raises(subprocess.TimeoutExpired) as late:
        client.run(["sh", "-c", "echo begun; sleep 1000"], timeout=0.3)
    assert late.value.cmd == ["sh", "-c", "echo begun; sleep 1000"]
    assert client.run(["sh", "-c", "kill -9 $$"]).returncode == -9
    with pytest.raises(PersonError, match="client: there is no program 'no-such-program' on this machine"):
        client.run(["no-such-program"])
    with pytest.raises(PersonError, match="cannot run '/': Permission denied"):
        client.start(["/"])
    with pytest.raises(PersonError, match="as a list"):
        client.run("ls -l")
    with pytest.raises(PersonError, match="has no machine 'clint'; there are: client, server, visitor"):
        lab.vm("clint")


def test_what_a_program_writes_is_taken_however_much_and_whatever_it_is(lab: Lab) -> None:
    done = lab.vm("client").run(["sh", "-c", "head -c 3000000 /dev/zero; printf '\\377'"])
    assert (len(done.stdout), done.stdout[-1]) == (3000001, "�")


def test_a_server_is_there_when_start_returns_and_ends_with_all_it_has_begun(lab: Lab) -> None:
    server = lab.vm("server")
    command = ["sh", "-c", f"sleep 1000 & {sys.executable} -u -m http.server 80"]
    with server.start(command, listens=80) as process:
        assert "running" in repr(process)
        assert process.poll() is None
        got = lab.vm("client").run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{server.address}"])
        assert got.stdout == "200"
        wait_until(lambda: "GET / HTTP" in process.stderr, "the server's log")
        assert "sleep 1000" in programs(lab, "server")
    assert process.returncode == -signal.SIGTERM
    assert not server.listens(80)
    assert "GET / HTTP" in process.stderr
    wait_until(lambda: not programs(lab, "server"), "what it has started ends as well")


def test_a_server_that_does_not_come_says_what_it_said(lab: Lab) -> None:
    with pytest.raises(SystemRefusal, match=r"server: sh ended with 5 before it listened on Tcp port 81: no luck"):
        lab.vm("server").start(["sh", "-c", "echo no luck >&2; exit 5"], listens=81)
    with pytest.raises(SystemRefusal, match=r"server: sleep does not listen on Tcp port 81 after 0.2 s"):
        lab.vm("server").start(["sleep", "1000"], listens=81, timeout=0.2)
    with pytest.raises(SystemRefusal, match=r"server: nobody listens on Udp port 81 after 0.1 s"):
        lab.vm("server").wait_until_listens(81, "Udp", timeout=0.1)
    assert programs(lab, "server") == []


def test_udp_servers_are_waited_for_too(lab: Lab) -> None:
    code = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 5353)); s.recv(9)"
    with lab.vm("client").start([sys.executable, "-c", code], listens=5353, protocol="Udp") as process:
        assert lab.vm("client").listens(5353, "Udp")
        assert not lab.vm("client").listens(5353)
        process.kill()
        assert process.wait() == -signal.SIGKILL


# ---- a lab's life ----------------------------------------------------------------------------------------------------


def test_two_labs_of_one_scenario_are_two_and_nothing_is_left_of_them(state: Path) -> None:
    with Lab(NETWORK) as one, Lab(NETWORK) as other:
        names = one.name, other.name
        assert one.name != other.name
        assert all(name.startswith("api-") for name in names)
        assert one.vm("client").run(["true"]).returncode == other.vm("client").run(["true"]).returncode == 0
        one.vm("client").start(["sleep", "1000"])
    assert [traces(name) for name in names] == [[], []]
    with pytest.raises(PersonError, match="is not up; use it inside `with`"):
        one.reaches("client", "server", port=80)


def test_an_error_inside_takes_the_lab_down(state: Path) -> None:
    with pytest.raises(ZeroDivisionError), Lab(NETWORK) as lab:
        raise ZeroDivisionError
    assert traces(lab.name) == []
    lab.up()
    lab.down()
    lab.down()
    assert traces(lab.name) == []


def test_a_name_of_ones_own_is_for_one_lab_and_others_attach_to_it(state: Path) -> None:
    with Lab(NETWORK, name="api-mine") as lab:
        with pytest.raises(PersonError, match=r"lab api-mine is up already; `Lab.attach\('api-mine'\)`"), Lab(NETWORK, name="api-mine"):
            pass
        with Lab.attach("api-mine") as again:
            assert again.machines == ("client", "server", "visitor")
            assert again.reaches("client", "server", port=80)
        assert lab.reaches("client", "server", port=80)
    with pytest.raises(PersonError, match=r"neither a lab nor a file|there is no lab"), Lab.attach("api-mine"):
        pass
    with pytest.raises(PersonError, match="cannot be a lab's name"):
        Lab(NETWORK, name="Not a name")


def test_a_lab_is_led_to_another_version_while_programs_go_on(state: Path) -> None:
    with Lab(NETWORK) as lab, lab.vm("server").start([sys.executable, "-m", "http.server", "81"], listens=81) as server:
        assert not lab.reaches("client", "server", port=81)
        assert lab.change(NETWORK.replace("destinationPortRange: '80'", "destinationPortRange: '80-81'")) == "changed"
        assert lab.reaches("client", "server", port=81)
        assert lab.vm("client").run(["curl", "-sf", "http://10.0.2.4:81"]).returncode == 0
        assert lab.change(NETWORK.replace("server: {subnet", "third: {subnet: net/front}, server: {subnet")) == "changed"
        assert lab.machines == ("client", "third", "server", "visitor")
        assert lab.reaches("third", "client", port=1)
        assert server.poll() is None
        with pytest.raises(ScenarioError):
            lab.change("name: x\nvirtualNetworks: {}\nnonsense: 1\n")
        assert lab.reaches("third", "client", port=1)


def test_a_lab_that_somebody_changes_from_outside_is_asked_as_it_is(state: Path, tmp_path: Path) -> None:
    with Lab(NETWORK, name="api-outside") as lab:
        assert not lab.reaches("client", "server", port=81)
        file = tmp_path / "f.yaml"
        file.write_text(NETWORK.replace("name: api", "name: api-outside").replace("'80'", "'80-81'"))
        subprocess.run([sys.executable, "-m", "netemu", "up", str(file)], check=True, capture_output=True)
        assert lab.reaches("client", "server", port=81)
        subprocess.run([sys.executable, "-m", "netemu", "down", "api-outside"], check=True, capture_output=True)
        with pytest.raises(PersonError, match="api-outside"):
            lab.reaches("client", "server", port=81)


def test_a_scenario_that_is_wrong_is_told_with_its_places(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(NETWORK.replace("net/back", "net/bakc"))
    with pytest.raises(ScenarioError) as caught:
        Lab(file)
    assert [(problem.file, problem.resource) for problem in caught.value.problems] == [
        (str(file), "virtualMachines/server")
    ]
    with pytest.raises(PersonError, match="there is no such file"):
        Lab(tmp_path / "none.yaml")


def test_what_cannot_be_built_is_told_and_nothing_is_left(state: Path) -> None:
    lab = Lab(NETWORK.replace("server: {subnet", "server: {run: /no/such/program, subnet"))
    with pytest.raises(PersonError, match="cannot start '/no/such/program'"):
        lab.up()
    assert traces(lab.name) == []


# ---- however it ends -------------------------------------------------------------------------------------------------

PROGRAM = """
import sys, time
from netemu import Lab
with Lab(open(sys.argv[1]).read()) as lab:
    lab.vm("client").start(["sleep", "1000"])
    print(lab.name, flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def program(state: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A program that has a lab up, in a session of its own as behind a terminal; and the lab's name."""
    file = tmp_path / "lab.yaml"
    file.write_text(NETWORK)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, cwd=ROOT,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            name = process.stdout.readline().strip()
            assert traces(name)
            yield process, name
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda s: s.name)
def test_whatever_ends_a_program_its_lab_goes(program: tuple[subprocess.Popen[str], str], number: int) -> None:
    process, name = program
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=DEADLINE)
    if number == signal.SIGINT:
        assert traces(name) == []
        assert said.strip().endswith("KeyboardInterrupt")
    wait_until(lambda: not traces(name), "the lab of a program that is gone is taken down")


def test_ctrl_c_while_the_lab_is_being_built_leaves_nothing(state: Path, tmp_path: Path) -> None:
    def entries() -> set[str]:
        return set(os.listdir(state)) if state.is_dir() else set()

    many, before = ", ".join(f"m{i}: {{subnet: net/front}}" for i in range(200)), entries()
    file = tmp_path / "lab.yaml"
    file.write_text(NETWORK.replace("virtualMachines: {", f"virtualMachines: {{{many}, "))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, cwd=ROOT,
    ) as process:  # fmt: skip
        wait_until(lambda: entries() - before, "up begins")
        (name,) = {entry.removesuffix(".netemu-lock") for entry in entries() - before}
        os.killpg(process.pid, signal.SIGINT)
        said, error = process.communicate(timeout=DEADLINE)
        assert (said, error.strip().splitlines()[-1]) == ("", "KeyboardInterrupt")
    assert traces(name) == []


def test_a_worker_that_is_killed_is_told_of_and_its_lab_is_removed(state: Path) -> None:
    with Lab(NETWORK) as lab:
        name = lab.name
        sleeper = lab.vm("client").start(["sleep", "1000"])
        tasks = Path("/proc/self/task").iterdir()
        ours = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        (worker,) = [child for child in ours if name in processes.command_line(child)]
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(SystemRefusal, match=f"the process that held lab {name} has ended"):
            lab.reaches("client", "server", port=80)
        assert traces(name) == []
        assert sleeper.wait(DEADLINE) < 0


def test_nothing_of_the_calling_process_is_changed(state: Path) -> None:
    def ours() -> dict[str, object]:
        return {
            "namespaces": [os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt", "user", "pid", "uts")],
            "umask": Path("/proc/self/status").read_text().split("Umask:")[1].split()[0],
            "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)],
            "environment": dict(os.environ),
            "files": len(os.listdir("/proc/self/fd")),
            "directory": os.getcwd(),
        }

    before = ours()
    with Lab(NETWORK) as lab:
        lab.reaches("client", "server", port=80)
        lab.vm("client").run(["true"])
        assert {**ours(), "files": 0} == {**before, "files": 0}
    assert ours() == before


def test_it_can_be_used_from_threads(lab: Lab) -> None:
    import threading

    found: list[bool] = []

    def ask() -> None:
        for _ in range(5):
            found.append(bool(lab.reaches("client", "server", port=80)))
            found.append(lab.vm("client").run(["true"]).returncode == 0)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 40
