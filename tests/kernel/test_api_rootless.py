"""The Python API for ordinary users: by user namespaces, as the command line does it."""

from __future__ import annotations

import subprocess
import sys

from test_rootless import OTHER, USER, Host, Ordinary, host, user, wait_for

__all__ = ["host", "user"]

PROGRAM = """
import os, sys
from netemu import Lab, NetemuError
NETWORK = '''
name: rl
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.1.0/24, networkSecurityGroup: nsg}}}}
networkSecurityGroups: {nsg: {}}
virtualMachines: {a: {subnet: net/s}, b: {subnet: net/s}}
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
expect: [{from: a, to: b, port: 80, access: Allow}, {from: visitor, to: 10.0.1.4, port: 80, access: Deny}]
'''
"""


def python(host: Host, text: str, **env: str) -> tuple[int, str, str]:
    done = host.run(sys.executable, "-P", "-c", PROGRAM + text, uid=USER, env=env)
    return done.returncode, done.stdout, done.stderr


def test_an_ordinary_user_has_labs_in_programs_and_nothing_is_left(host: Host, user: Ordinary) -> None:
    before = host.digest()
    code, said, error = python(
        host,
        """
namespace = os.readlink('/proc/self/ns/user')
with Lab(NETWORK) as lab, Lab(NETWORK) as other:
    reach = lab.reaches('a', 'b', port=80)
    print(reach.access, reach.rule, bool(lab.verify()), bool(lab.matrix()))
    print(lab.vm('a').run(['sh', '-c', 'hostname; id -u; hostname -I']).stdout.split())
    with lab.vm('b').start([sys.executable, '-m', 'http.server', '80'], listens=80) as server:
        print(lab.vm('a').run(['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', 'http://10.0.1.5']).stdout)
    print(server.returncode, os.getuid(), os.readlink('/proc/self/ns/user') == namespace)
    with Lab.attach(other.name) as again:
        print(bool(again.reaches('b', 'a', protocol='Icmp')))
""",
        **user.env,
    )
    assert (code, error) == (0, "")
    assert said.splitlines() == [
        "Allow AllowVnetInBound True True", "['a', '0', '10.0.1.4']", "200", f"-15 {USER} True", "True",
    ]  # fmt: skip
    assert user.left() == []
    wait_for(lambda: not user.processes(), "every process of the labs ends")
    assert host.digest() == before


def test_a_program_that_is_killed_leaves_no_lab_of_an_ordinary_users_either(host: Host, user: Ordinary) -> None:
    code, _, _ = python(host, "lab = Lab(NETWORK); lab.up(); os.kill(os.getpid(), 9)", **user.env)
    assert code in (-9, 137)
    wait_for(lambda: not user.processes() and not user.left(), "the lab of a program that is gone is taken down")


FORBID = """
import ctypes, os, sys
open('/proc/sys/user/max_user_namespaces', 'w').write('0')
PR_CAP_AMBIENT, CLEAR_ALL = 47, 4
assert ctypes.CDLL(None).prctl(PR_CAP_AMBIENT, CLEAR_ALL, 0, 0, 0) == 0  # exec takes every capability away, then
os.execv(sys.executable, [sys.executable, '-P', '-c', sys.argv[1]])
"""


def test_where_user_namespaces_are_forbidden_the_error_says_so(host: Host, user: Ordinary) -> None:
    text = """
try:
    Lab(NETWORK).up()
except NetemuError as error:
    print(type(error).__name__, error)
"""
    within = ["unshare", "--user", f"--map-user={USER}", f"--map-group={USER}", "--keep-caps"]
    done = host.run(*within, sys.executable, "-c", FORBID, PROGRAM + text, uid=USER, env=user.env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("SystemRefusal lab rl-")
    assert "needs root, or a user namespace, which cannot be had: user.max_user_namespaces=0 forbids" in done.stdout
    assert user.left() == []


def test_nobody_takes_part_in_another_users_lab(host: Host, user: Ordinary) -> None:
    text = """
with Lab(NETWORK, name='rl-mine') as lab:
    print(lab.vm('a').run(['true']).returncode, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        host.command(sys.executable, "-P", "-c", PROGRAM + text, uid=USER), env=host.environment(user.env),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        assert owner.stdout.readline() == "0\n"
        stranger = host.run(
            sys.executable, "-P", "-c", f"{PROGRAM}\nLab.attach('rl-mine').up()", uid=OTHER,
            env={**user.env, "XDG_RUNTIME_DIR": ""},
        )  # fmt: skip
        assert stranger.returncode == 1
        assert "PersonError" in stranger.stderr
        owner.communicate("", timeout=60)
        assert owner.returncode == 0
    assert user.left() == []
