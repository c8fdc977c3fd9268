"""Labs without root: households of ordinary users, made, found again, ended, and gone when their holder is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "life"))

from host import DEADLINE, ROOT, Host, wait_for

from netemu.lab.holder import HOLD

USER, OTHER = 61234, 61235
RUNTIME = f"/run/user/{USER}"
REACHABLE = str(Path(__file__).parent / "life" / "reachable.py")
PRELUDE = """
import json, os, signal, sys, time
from pathlib import Path
from netemu.errors import NetemuError
from netemu.lab import rootless
from netemu.lab.down import down
from netemu.lab.folder import Lock, LabFolder, find
from netemu.linux import namespaces as ns, user_namespaces as users
def make(name):
    rootless.become_root_of_a_new_lab(name)
    with Lock(name):
        folder = LabFolder(name)
        if not folder.is_mounted():
            folder.create()
            os.close(ns.create(folder.namespace('a')))
    return folder
def run():
"""
ENDING = """
try:
    run()
except NetemuError as error:
    sys.stderr.write(f'netemu: {error}')
    sys.exit(error.exit_code)
"""
UP = "make(sys.argv[1])"
DOWN = "if not rootless.clear(sys.argv[1]): rootless.step_inside(sys.argv[1]); down(find(sys.argv[1]), lambda _: None)"
STAY = """
outside = os.getpid()
rootless.step_inside('rl-a')
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(5))
print(outside, flush=True)
signal.pause()
"""


class Ordinary:
    """An ordinary user of a host, who runs pieces of Python that use netemu."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.env = {"XDG_RUNTIME_DIR": RUNTIME, "NETEMU_STATE_DIR": "", "HOME": "/"}
        self.base = Path(f"{RUNTIME}/netemu")

    def argv(self, text: str, *args: str) -> list[str]:
        body = "".join(f"    {line}\n" for line in text.splitlines())
        return [sys.executable, "-P", "-c", f"{PRELUDE}{body}{ENDING}", *args]

    def run(self, text: str, *args: str, uid: int | None = USER, **env: str) -> subprocess.CompletedProcess[str]:
        return self.host.run(*self.argv(text, *args), uid=uid, env={**self.env, **env})

    def ok(self, text: str, *args: str, **env: str) -> str:
        done = self.run(text, *args, **env)
        assert done.returncode == 0, (text, done.stdout, done.stderr)
        return done.stdout

    def stay(self) -> tuple[subprocess.Popen[str], str]:
        """Somebody who stays inside until SIGUSR1, and the id, in the host, of the process that stands in for them."""
        child = subprocess.Popen(
            self.host.command(*self.argv(STAY), uid=USER), stdout=subprocess.PIPE, text=True,
            env=self.host.environment(self.env),
        )  # fmt: skip
        assert child.stdout is not None
        with child.stdout:
            return child, child.stdout.readline().strip()

    def holder(self, name: str = "rl-a") -> int:
        """The holder's id in the host."""
        record = self.host.root() / self.base.relative_to("/") / f"{name}.netemu-holder"
        return int(json.loads(record.read_text())["pid"])

    def processes(self) -> set[int]:
        """All that run as the user; those that have ended and wait for their parent excepted."""
        rows = self.host.ok("ps", "-e", "-o", "pid=,uid=,stat=").splitlines()
        return {int(pid) for pid, uid, state in map(str.split, rows) if int(uid) == USER and state[0] != "Z"}

    def left(self) -> list[str]:
        """What is in the state directory."""
        base = self.host.root() / self.base.relative_to("/")
        return sorted(os.listdir(base)) if base.is_dir() else []

    def kill_holder(self) -> None:
        self.host.ok("kill", "-9", str(self.holder()))
        wait_for(lambda: not self.processes(), "all of the user's processes end with the holder")


@pytest.fixture
def host() -> Iterator[Host]:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        machine = Host(Path(directory))
        paths = {sys.executable, os.path.realpath(sys.executable), sys.prefix, sys.base_prefix, str(ROOT), directory}
        try:
            machine.ok(sys.executable, REACHABLE, *sorted(paths))
            machine.ok("mkdir", "-p", RUNTIME)
            machine.ok("chown", f"{USER}:{USER}", RUNTIME)
            machine.ok("chmod", "0700", RUNTIME)
            yield machine
        finally:
            machine.close()


@pytest.fixture
def user(host: Host) -> Ordinary:
    return Ordinary(host)


# ---- the life of a lab -----------------------------------------------------------------------------------------------


def test_a_lab_is_made_entered_by_other_processes_and_removed_without_a_trace(host: Host, user: Ordinary) -> None:
    before = host.digest()
    user.ok(UP, "rl-a")
    inside = """
rootless.step_inside(None)
with ns.entered(find('rl-a').namespace('a')):
    print(json.dumps([users.standing().name, os.getuid(), os.listdir('/sys/class/net'), find('rl-a').nodes()]))
"""
    assert json.loads(user.ok(inside)) == ["HOUSEHOLD_ROOT", 0, ["lo"], ["a"]]
    inode = "rootless.step_inside('rl-a'); print(find('rl-a').namespace('a').stat().st_ino)"
    assert user.ok(inode) == user.ok(inode)
    user.ok(DOWN, "rl-a")
    assert user.left() == []
    wait_for(lambda: not user.processes(), "the holder ends")
    assert host.digest() == before


def test_what_runs_in_a_lab_ends_with_its_holder_and_up_starts_afresh(user: Ordinary) -> None:
    runs = "make('rl-a')\nif os.fork() == 0:\n    os.execvp('sh', ['sh', '-c', 'exec sleep 1000 > /dev/null 2>&1'])"
    user.ok(runs)
    assert len(user.processes()) == 2
    user.kill_holder()
    gone = user.run("rootless.step_inside('rl-a')")
    assert gone.returncode == 2
    assert "lab rl-a is gone" in gone.stderr
    user.ok(UP, "rl-a")
    assert user.ok("rootless.step_inside('rl-a'); print(find(None).nodes())") == "['a']\n"
    user.kill_holder()
    user.ok(DOWN, "rl-a")
    assert user.left() == []


def test_the_same_name_is_made_once_by_two_at_once(user: Ordinary) -> None:
    both = """
for _ in range(4):
    if os.fork() == 0:
        rootless.become_root_of_a_new_lab('rl-a')
        folder = LabFolder('rl-a')
        if not os.path.exists('/run/netns/made'):
            Path('/run/netns/made').touch()
            folder.path.mkdir(exist_ok=True); ns.mount('netemu:rl-a', str(folder.path), 'tmpfs', 0)
        os._exit(0)
for _ in range(4):
    os.wait()
"""
    user.ok(both)
    assert user.processes() == {user.holder()}


def test_a_lab_that_could_not_be_made_leaves_no_holder(user: Ordinary) -> None:
    assert user.run("rootless.become_root_of_a_new_lab('rl-a'); sys.exit(3)").returncode == 3
    assert user.left() == []
    wait_for(lambda: not user.processes(), "the holder ends")


@pytest.mark.parametrize("at", ["Path.rename", "os.pidfd_open", "rootless._visit", "users.enter"])
def test_killed_while_it_makes_a_lab_up_leaves_no_process_or_one_that_is_found(user: Ordinary, at: str) -> None:
    killed = f"{at} = lambda *_: os.kill(os.getpid(), 9)\nrootless.become_root_of_a_new_lab('rl-a')"
    assert user.run(killed).returncode == -9
    if at in ("Path.rename", "os.pidfd_open"):
        wait_for(lambda: not user.processes(), "the holder-to-be ends")
    else:
        assert user.processes() == {user.holder()}
    user.ok(UP, "rl-a")
    assert user.processes() == {user.holder()}
    user.ok(DOWN, "rl-a")
    assert user.left() == []


def test_the_last_one_who_is_inside_ends_the_holder(user: Ordinary) -> None:
    user.ok(UP, "rl-a")
    one, outside = user.stay()
    user.ok(DOWN, "rl-a")
    assert user.holder() in user.processes()
    user.host.ok("kill", "-TERM", outside)
    assert one.wait(DEADLINE) == -signal.SIGTERM
    wait_for(lambda: not user.processes(), "the holder ends")
    assert user.left() == []


def test_a_lab_that_is_up_stays_when_a_visitor_leaves(user: Ordinary) -> None:
    user.ok(UP, "rl-a")
    holder = user.holder()
    user.ok("rootless.step_inside('rl-a')")
    assert user.processes() == {holder}


def test_ls_asks_each_lab_inside_and_says_which_one_has_ended(user: Ordinary) -> None:
    user.ok(UP, "rl-a")
    user.ok(UP, "rl-b")
    ask = "print(json.dumps(rootless.ask_each(lambda folder: [folder.name, folder.nodes()])))"
    assert json.loads(user.ok(ask)) == [["rl-a", ["a"]], ["rl-b", ["a"]]]
    user.host.ok("kill", "-9", str(user.holder("rl-b")))
    wait_for(lambda: len(user.processes()) == 1, "the other lab ends")
    assert json.loads(user.ok(ask)) == [["rl-a", ["a"]], ["rl-b", []]]


def test_down_all_goes_through_every_lab(user: Ordinary) -> None:
    user.ok(UP, "rl-a")
    user.ok(UP, "rl-b")
    user.ok("name = rootless.one_by_one()\nif name:\n    down(find(name), lambda _: None)")
    assert user.left() == []
    wait_for(lambda: not user.processes(), "both holders end")


def test_for_root_nothing_changes(user: Ordinary) -> None:
    text = "pid = os.getpid(); rootless.step_inside(None); rootless.become_root_of_a_new_lab('rl-a'); print(pid == os.getpid())"
    done = user.run(text + "; print(users.standing().name)", uid=None)
    assert done.stdout == "True\nROOT\n", done.stderr
    assert user.left() == []


def test_a_lab_of_roots_is_left_to_the_rest_of_the_command(user: Ordinary) -> None:
    assert user.ok("pid = os.getpid(); rootless.step_inside('rl-z'); print(pid == os.getpid())") == "True\n"
    user.ok(UP, "rl-a")
    assert user.ok("pid = os.getpid(); rootless.step_inside('rl-z'); print(pid == os.getpid())") == "True\n"


# ---- standing in for a process ---------------------------------------------------------------------------------------


def test_exit_status_and_death_by_a_signal_are_those_of_what_went_on_inside(user: Ordinary) -> None:
    user.ok(UP, "rl-a")
    assert user.run("rootless.step_inside('rl-a'); sys.exit(7)").returncode == 7
    assert user.run("rootless.step_inside('rl-a'); os.kill(os.getpid(), 12)").returncode == -12
    assert user.run("rootless.step_inside('rl-a'); os.execvp('sh', ['sh', '-c', 'kill -9 $$'])").returncode == -9


def test_a_signal_reaches_what_goes_on_inside_and_killing_the_one_outside_ends_it(user: Ordinary) -> None:
    user.ok(UP, "rl-a")
    told, outside = user.stay()
    user.host.ok("kill", "-USR1", outside)
    assert told.wait(DEADLINE) == 5
    killed, outside = user.stay()
    assert len(user.processes()) == 3
    user.host.ok("kill", "-KILL", outside)
    assert killed.wait(DEADLINE) == -signal.SIGKILL
    wait_for(lambda: user.processes() == {user.holder()}, "what went on inside ends")


def test_the_working_directory_and_standard_input_are_kept(user: Ordinary) -> None:
    user.ok(UP, "rl-a")
    assert user.ok("rootless.step_inside('rl-a'); print(os.getcwd())").strip() == str(user.host.directory)
    argv = user.argv("rootless.step_inside('rl-a'); print(sys.stdin.read())")
    assert user.host.run(*argv, uid=USER, env=user.env, stdin="said").stdout == "said\n"


# ---- the state directory ---------------------------------------------------------------------------------------------


def test_the_state_directory_is_closed_to_others_and_goes_with_the_last_lab(user: Ordinary) -> None:
    base = user.host.root() / user.base.relative_to("/")
    user.ok(UP, "rl-a")
    assert (base.stat().st_mode & 0o777, base.stat().st_uid) == (0o700, USER)
    user.ok(DOWN, "rl-a")
    assert not base.exists()


@pytest.mark.parametrize(
    "trap", ["ln -s /run/elsewhere {}", "mkdir -m 0777 {}", "mkdir -m 0700 {0} && chown 61235 {0}"]
)
def test_a_state_directory_that_somebody_else_has_laid_out_is_refused(user: Ordinary, trap: str) -> None:
    user.host.ok("sh", "-c", f"mkdir /run/elsewhere && chown {USER} /run/elsewhere")
    user.host.ok("sh", "-c", trap.format(user.base))
    if "chown" not in trap and "ln" not in trap:
        user.host.ok("chown", str(USER), str(user.base))
    done = user.run(UP, "rl-a")
    assert done.returncode == 2, done.stderr
    assert "must be a directory that only you can write" in done.stderr
    assert user.run("print(rootless.own_labs())").stdout == "[]\n"
    assert not os.listdir(user.host.root() / "run/elsewhere")


def test_a_runtime_directory_of_somebody_elses_is_not_used(user: Ordinary) -> None:
    user.host.ok("install", "-d", "-o", str(OTHER), "-m", "0700", f"/run/user/{OTHER}")
    where = "print(rootless.state_directory())"
    assert user.ok(where, XDG_RUNTIME_DIR=f"/run/user/{OTHER}") == f"{RUNTIME}/netemu\n"
    assert user.ok(where, XDG_RUNTIME_DIR="") == f"{RUNTIME}/netemu\n"
    user.host.ok("rmdir", RUNTIME)
    assert user.ok(where, XDG_RUNTIME_DIR="") == f"/tmp/netemu-{USER}\n"
    assert user.ok(where, NETEMU_STATE_DIR="/run/mine") == "/run/mine\n"


def test_a_record_that_names_another_process_is_not_believed(user: Ordinary) -> None:
    user.ok(UP, "rl-a")
    record = user.host.root() / user.base.relative_to("/") / "rl-a.netemu-holder"
    for text in ('{"pid": 1, "started": 5}', "{", ""):
        record.write_text(text)
        assert "is gone" in user.run("rootless.step_inside('rl-a')").stderr


# ---- the household ---------------------------------------------------------------------------------------------------


def test_directories_for_names_are_there_and_the_rest_of_run_and_etc_as_outside(user: Ordinary) -> None:
    user.host.ok(
        "sh",
        "-c",
        "mkdir -p /run/deep/er && mount -t tmpfs deep /run/deep/er && echo 1 > /run/deep/er/file && ln -s deep /run/link",
    )
    user.ok(UP, "rl-a")
    looks = """
rootless.step_inside('rl-a')
for top in ('/run/netns', '/etc/netns'):
    Path(top, 'x').symlink_to('y')
print(json.dumps([sorted(os.listdir('/run')), sorted(os.listdir('/etc')), Path('/run/link/er/file').read_text(), Path('/etc/passwd').read_text()]))
"""
    run, etc, deep, passwd = json.loads(user.ok(looks))
    root = user.host.root()
    assert (sorted(run), deep) == (sorted({*os.listdir(root / "run"), "netns"}), "1\n")
    assert (sorted(etc), passwd) == (sorted({*os.listdir(root / "etc"), "netns"}), (root / "etc/passwd").read_text())
    assert not (root / "run/netns").exists()
    assert not (root / "etc/netns").exists()


def test_a_mount_that_the_machine_makes_later_is_seen_inside_and_none_of_ours_outside(user: Ordinary) -> None:
    user.host.ok("mkdir", "/etc/later")
    user.ok(UP, "rl-a")
    user.host.ok("mount", "-t", "tmpfs", "later", "/etc/later")
    user.host.ok("touch", "/etc/later/file")
    assert user.ok("rootless.step_inside('rl-a'); print(os.listdir('/etc/later'))") == "['file']\n"
    assert "rl-a" not in user.host.ok("cat", "/proc/self/mountinfo")


def test_one_user_cannot_enter_anothers_lab(user: Ordinary) -> None:
    user.ok(UP, "rl-a")
    text = "try:\n    users.enter(os.pidfd_open(int(sys.argv[1])))\nexcept OSError as error:\n    print(error.errno)"
    assert user.run(text, str(user.holder()), uid=OTHER).stdout == "1\n"


def test_ids_are_given_by_subuid_by_name_or_number(tmp_path: Path) -> None:
    from netemu.linux.user_namespaces import subordinate

    table = tmp_path / "subuid"
    table.write_text("# comment\nsomebody:100000:65536\n61234:200000:10\nroot:300000:20\nbroken:x\n61236:1:0\n")
    assert subordinate(table, 61234) == (200000, 10)
    assert subordinate(table, 0) == (300000, 20)
    assert subordinate(table, 61236) is None
    assert subordinate(tmp_path / "missing", 0) is None


def test_when_newuidmap_fails_the_users_own_id_is_the_only_one(user: Ordinary) -> None:
    root = user.host.root()
    for kind in ("uid", "gid"):
        (root / f"etc/sub{kind}").write_text(f"{USER}:400000:65536\n")
        tool = root / f"run/bin/new{kind}map"
        tool.parent.mkdir(exist_ok=True)
        tool.write_text("#!/bin/sh\nexit 1\n")
        tool.chmod(0o755)
    text = "rootless.step_inside('rl-a'); print([Path(f'/proc/self/{kind}_map').read_text().split() for kind in ('uid', 'gid')])"
    path = f"/run/bin:{os.environ['PATH']}"
    user.ok(UP, "rl-a", PATH=path)
    assert user.ok(text) == str([["0", str(USER), "1"]] * 2) + "\n"


def test_why_user_namespaces_are_forbidden_is_said_with_the_setting(user: Ordinary) -> None:
    assert user.ok("print(users.why_not())") == "\n"
    assert user.run("print(users.why_not())", uid=None).stdout == "\n"
    user.ok(UP, "rl-a")
    forbidden = """
rootless.step_inside('rl-a')
Path('/proc/sys/user/max_user_namespaces').write_text('0')
print(users.why_not())
"""
    said = user.ok(forbidden)
    assert said.startswith("user.max_user_namespaces=0 forbids user namespaces; permit them with `sysctl user.max")


def test_the_holder_ends_when_its_record_is_gone(tmp_path: Path) -> None:
    record = tmp_path / "record"
    record.touch()
    often = HOLD.replace(",30)", ",0.01)")
    assert often != HOLD
    holder = subprocess.Popen([sys.executable, "-I", "-S", "-c", often, str(record)])
    with pytest.raises(subprocess.TimeoutExpired):
        holder.wait(0.2)
    record.unlink()
    assert holder.wait(5) == 0


def test_the_holder_ends_when_it_is_asked_as_at_a_shutdown(user: Ordinary) -> None:
    user.ok(UP, "rl-a")
    holder = user.holder()
    user.host.ok("kill", "-TERM", str(holder))
    wait_for(lambda: not user.processes(), "the holder ends")


def test_rulesets_larger_than_the_default_buffer_load_without_root(user: Ordinary) -> None:
    load = """
from netemu.linux.socket_buffers import send_large
import nftables
rootless.step_inside('rl-a')
rules = '\\n'.join(f'ip saddr 10.0.{n >> 8}.{n & 255} tcp dport {n + 1} counter accept comment "rule-{n}"' for n in range(800))
ruleset = f'table ip rl {{ chain c {{ type filter hook forward priority 0; {rules}\\n }}\\n }}'
with ns.entered(find('rl-a').namespace('a')):
    print(send_large(nftables.Nftables).cmd(ruleset))
"""
    user.ok(UP, "rl-a")
    assert user.ok(load) == "(0, '', '')\n"


def test_taps_without_root_take_what_buffer_the_machine_permits(user: Ordinary) -> None:
    tap = """
import socket
from netemu.linux.socket_buffers import receive_up_to
rootless.step_inside('rl-a')
opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
receive_up_to(opened, 1 << 22)
print(opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * min(1 << 22, int(Path('/proc/sys/net/core/rmem_max').read_text())))
"""
    user.ok(UP, "rl-a")
    assert user.ok(tap) == "True\n"


def netemu(user: Ordinary, *args: str, code: int = 0) -> str:
    """A command of the user's; its output."""
    done = user.host.run(sys.executable, "-P", "-m", "netemu", *args, uid=USER, env=user.env)
    assert done.returncode == code, (args, done.stdout, done.stderr)
    return done.stdout


def test_a_lab_without_root_lives_as_one_of_root_does(user: Ordinary) -> None:
    before = user.host.digest()
    text = (ROOT / "scenarios" / "three-tier.yaml").read_text()
    file = user.host.write(text)
    assert "shop is up" in netemu(user, "up", file)
    assert "nothing to do" in netemu(user, "up", file)
    assert "12 of 12 agree" in netemu(user, "verify", "shop")
    assert "the kernel agrees" in netemu(user, "flow", "web1", "--to", "app1", "--port", "8080", "--lab", "shop")
    assert "running" in netemu(user, "ls") and "web1" in netemu(user, "status", "shop")
    assert netemu(user, "exec", "--lab", "shop", "web1", "--", "id", "-u") == "0\n"
    inside = netemu(user, "exec", "--lab", "shop", "web1", "--", "ip", "-br", "address")
    assert "10.0.1.4/24" in inside
    netemu(user, "exec", "--lab", "shop", "web1", "--", "ip", "route", "del", "default")
    assert "different: networkInterfaces/web1-nic" in netemu(user, "status", "shop", code=1)
    assert "as described again" in netemu(user, "up", file)
    changed = user.host.write(text.replace("web2:", "web3:").replace("from: web2", "from: web3"))
    netemu(user, "plan", changed, code=2)
    assert "new version" in netemu(user, "up", changed)
    assert "12 of 12 agree" in netemu(user, "verify", "shop")
    assert "shop is down" in netemu(user, "down", "--all")
    assert not user.processes() and not user.left()
    assert user.host.digest() == before


def test_a_users_lab_and_one_of_roots_may_have_the_same_name(user: Ordinary) -> None:
    file = user.host.write("name: same\nvirtualNetworks: {net: {addressSpace: [10.0.0.0/16], subnets: "
                           "{main: {addressPrefix: 10.0.0.0/24}}}}\nvirtualMachines: {a: {subnet: net/main}}\n")  # fmt: skip
    user.host.good("up", file)
    netemu(user, "up", file)
    netemu(user, "down", "same")
    user.host.good("status", "same")
    user.host.good("down", "same")
