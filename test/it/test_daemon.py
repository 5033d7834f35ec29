# SPDX-License-Identifier: Apache-2.0
"""holdfastd as a daemon: its configuration, certificates, signals, and what it tells its service manager."""
import datetime
import hashlib
import ipaddress
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from daemon import Daemon, environment

DENIED_TO_ALL = "everybody on this machine may read it: chmod o-rwx"


@pytest.fixture(scope="module")
def program():
    path = pathlib.Path(os.environ["HOLDFAST"]).resolve().with_name("holdfastd")
    assert os.access(path, os.X_OK), f"{path} is to be tested, too"
    return path


@pytest.fixture
def make(program, folder):
    made = []

    def new(settings=(), **how):
        place = folder / str(len(made))
        place.mkdir()
        made.append(Daemon(program, place, settings, **how))
        return made[-1]

    yield new
    for daemon in made:
        daemon.kill()


def run(program, *args, env=(), code=0):
    """Standard output and error of one that ends by itself; there is no mover where it would be installed."""
    done = subprocess.run([program, *map(str, args)], capture_output=True, text=True, timeout=60, check=False,
                          env=environment(HOLDFAST_MOVER_LOCAL="no", **dict(env)))
    assert done.returncode == code, f"exit code {done.returncode}, not {code}:\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def write_secret(path, text):
    path.write_text(text)
    path.chmod(0o600)


def certificate(folder, name, days=100):
    """Files with a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
    built = built.not_valid_after(now + datetime.timedelta(days=days))
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    built = built.add_extension(here, False).sign(key, hashes.SHA256())
    (folder / "c.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    write_secret(folder / "k.pem", key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                     serialization.NoEncryption()).decode())
    return folder / "c.pem", folder / "k.pem"


# ---- configuration


def test_check_finds_nothing_wrong(program, folder):
    config = folder / "c"
    config.write_text("# nothing\n[server]\nlisten = 127.0.0.1:1,\n  [::1]:1\n")
    out, err = run(program, "--check", "--config", config, "--state", folder / "s")
    assert (out, err) == ("holdfastd: nothing is wrong with the configuration\n", "")
    assert not (folder / "s").exists()


@pytest.mark.parametrize("text,wrong", [
    ("[server]\nlistn = x\n", ["{c}:2:1: [server] has no option 'listn': did you mean 'listen'?"]),
    ("[sever]\nx = y\n", ["{c}:1:2: there is no section [sever]: did you mean [server]?"]),
    ("[server]\nlevel = info\n", ["{c}:2:1: [server] has no option 'level': it belongs in [log]"]),
    ("listen = x\n", ["{c}:1:1: 'listen' stands before the first [section]"]),
    ("[server\n", ["{c}:1:8: a section is named like [server]: small letters, digits and _"]),
    ("[server]\nlisten\n", ["{c}:2:7: a line is [section], name = value, or a # comment"]),
    ("[server]\nidle = 5s\nidle = 6s\n", ["{c}:3:1: [server] idle is set already in line 2"]),
    ("[server]\nlisten = localhost:1\n",
     ["{c}:2:10: [server] listen 'localhost:1': 'localhost:1': 'localhost' is no IP address: 127.0.0.1, [::1] and * (all "
      "of the machine's) are such"]),
    ("[server]\nlisten = 127.0.0.1\n",
     ["{c}:2:10: [server] listen '127.0.0.1': '127.0.0.1': an address and a port are expected, such as 127.0.0.1:8799, "
      "[::1]:8799 or *:8799"]),
    ("[server]\nlisten =\n", ["{c}:2:1: [server] listen '': at least 1 must be named"]),
    ("[server]\nroles = api, boss\n",
     ["{c}:2:9: [server] roles 'api, boss': 'boss': one of these is expected: api, scheduler, worker, conductor"]),
    ("[server]\nthreads = many\n", ["{c}:2:11: [server] threads 'many': a whole number is expected"]),
    ("[server]\nthreads = 1025\n", ["{c}:2:11: [server] threads '1025': it must lie between 0 and 1024"]),
    ("[server]\nbody_max = 1Q\n",
     ["{c}:2:12: [server] body_max '1Q': a size is expected, such as 64K or 1MiB"]),
    ("[server]\nbody_max = 1 # all\n",
     ["{c}:2:12: [server] body_max '1 # all': a size is expected, such as 64K or 1MiB"]),
    ("[server]\nidle = 2d\n", ["{c}:2:8: [server] idle '2d': it must lie between 1.0 s and 1 h 00 min"]),
    ("[server]\ntls = perhaps\n", ["{c}:2:7: [server] tls 'perhaps': yes or no is expected"]),
    ("[database]\nurl = mysql://x\n",
     ["{c}:2:7: [database] url 'mysql://x': a URL that begins with sqlite: or postgresql: or postgres: is expected"]),
    ("[database]\nurl = sqlite:/nonexistent/db\n",
     ["{c}:2:7: [database] url 'sqlite:/nonexistent/db': the folder '/nonexistent' cannot be written to: No such file or "
      "directory"]),
    ("[log]\nlevel = loud\n",
     ["{c}:2:9: [log] level 'loud': one of these is expected: error, warning, info, debug"]),
    ("[server]\ncertificate = /nonexistent\n",
     ["{c}:2:15: [server] certificate '/nonexistent': it cannot be read: No such file or directory",
      "{c}:2:15: [server] certificate '/nonexistent': [server] key must be set, too"]),
    ("[server]\nkey = key.pem\n", ["{c}:2:7: [server] key 'key.pem': a path that begins with / is expected"]),
    ("[keystone]\npassword_file = /etc/passwd\n",
     [f"{{c}}:2:17: [keystone] password_file '/etc/passwd': {DENIED_TO_ALL} '/etc/passwd'"]),
    ("[server]\ntls = no\nlisten = 127.0.0.1:1, *:1\n",
     ["{c}:2:7: [server] tls 'no': '*:1' can be reached by other machines, and passwords would be readable on the way: "
      "listen on 127.0.0.1 or [::1] only, or leave TLS on"]),
    ("[log]\nlevel = \xff\n", ["{c}:2:9: byte 0xff is not UTF-8"]),
    ("[log]\nlevel = info\x1b[0m\n", ["{c}:2:13: control character 0x1b"]),
    # All of it at once, in the order of the file.
    ("[a]\nb = c\n[server]\nfoo = 1\nthreads = -1\n[log]\nformat = xml\n",
     ["{c}:1:2: there is no section [a]", "{c}:4:1: [server] has no option 'foo'",
      "{c}:5:11: [server] threads '-1': it must lie between 0 and 1024",
      "{c}:7:10: [log] format 'xml': one of these is expected: text, json"]),
])
def test_check_tells_all_that_is_wrong(program, folder, text, wrong):
    config = folder / "c"
    config.write_bytes(text.encode("latin-1"))
    out, err = run(program, "--check", "--config", config, "--state", folder / "s", code=2)
    assert out == ""
    assert err.splitlines() == [line.format(c=config) for line in wrong]
    # It does not start with that either, and says the same.
    _, err = run(program, "--config", config, "--state", folder / "s", code=2)
    assert [line.split("error: ", 1)[1] for line in err.splitlines()] == [line.format(c=config) for line in wrong]


@pytest.mark.parametrize("mode,text", [(0o755, "everybody on this machine may look into it: chmod o-rwx"),
                                       (None, "it is no folder")])
def test_check_looks_at_the_state(program, folder, mode, text):
    state = folder / "s"
    if mode:
        state.mkdir()
        state.chmod(mode)
    else:
        state.write_text("")
    _, err = run(program, "--check", "--config", "/dev/null", "--state", state, code=2)
    assert err.startswith(f"--state: [state] directory '{state}': {text}")


def test_ranks(program, folder):
    config = folder / "c"
    config.write_text("[log]\nlevel = debug\nformat = json\n[server]\nthreads = 3\nidle = 7s\n")
    out, _ = run(program, "--print-config", "--config", config, "--set", "log.level=error", "--database",
                 "postgresql://me:hush@db/x", env={"HOLDFAST_LOG_LEVEL": "warning", "HOLDFAST_SERVER_THREADS": "4"})
    assert "# --set\nlevel = error\n" in out
    assert "# environment HOLDFAST_SERVER_THREADS\nthreads = 4\n" in out
    assert f"# {config}:6:8\nidle = 7s\n" in out
    assert "# default\nbody_max = 1MiB\n" in out
    assert "url = postgresql://me:***@db/x\n" in out and "hush" not in out
    _, err = run(program, "--check", "--config", config, env={"HOLDFAST_LOG_LEVL": "warning"}, code=2)
    assert err == "environment HOLDFAST_LOG_LEVL: [log] has no option 'levl': did you mean 'level'?\n"


def test_example_is_a_configuration(program, folder):
    out, _ = run(program, "--example-config")
    config = folder / "c"
    config.write_text(re.sub(r"^#(\w+ = .)", r"\1", out, flags=re.M))
    run(program, "--check", "--config", config, "--state", folder / "s", "--set", "database.url=")


@pytest.mark.parametrize("args,text", [
    (["--nonsense"], "there is no option --nonsense: see 'holdfastd --help'"),
    (["--config"], "option --config needs a value: see 'holdfastd --help'"),
    (["start"], "'start' is one word too many: see 'holdfastd --help'"),
    (["--set", "x=y"], "--set 'x=y': SECTION.OPTION=VALUE is expected, such as log.level=debug"),
    (["--check", "--set", "log.levl=debug"], "--set: [log] has no option 'levl': did you mean 'level'?"),
    (["--check", "--config", "/nonexistent"], "open /nonexistent: No such file or directory"),
])
def test_wrong_command_lines(program, args, text):
    _, err = run(program, *args, code=2)
    assert err.rstrip("\n").endswith(text)


def test_help_and_version(program):
    assert run(program, "--version")[0].startswith("holdfastd ")
    out, _ = run(program, "--help")
    assert "--listen ADDRESS:PORT" in out and "--check" in out
    assert max(map(len, out.splitlines())) < 160


# ---- the service manager


def test_tells_when_it_is_ready_and_how_it_ends(make):
    daemon = make().start()
    assert daemon.get("/livez") == (200, b"alive\n")
    status, body = daemon.get("/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    # What was told before is what it did; READY came after the listeners were there.
    assert [lines[0] for lines in daemon.said][-1] == "READY=1"
    assert "STATUS=Starting: database" in [lines[0] for lines in daemon.said]
    daemon.stop()
    assert "STOPPING=1" in daemon.told(5)
    # The database was closed: nothing waits to be written into it.
    assert not (daemon.state / "holdfast.db-wal").exists()


def test_feeds_the_watchdog(make):
    daemon = make(env={"WATCHDOG_USEC": "300000"}).start()
    for _ in range(5):
        assert daemon.told(2) == ["WATCHDOG=1"]
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    with pytest.raises(TimeoutError):
        for _ in range(5):
            daemon.told(0.5)
    daemon.process.send_signal(signal.SIGCONT)
    assert daemon.told(2) == ["WATCHDOG=1"]
    daemon.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_at_once_when_nothing_runs(make, number):
    daemon = make({"server.drain": "60s"}).start()
    began = time.monotonic()
    daemon.stop(number)
    assert time.monotonic() - began < 10


def test_what_it_may_do_as_a_process(make):
    daemon = make().start()
    limits = pathlib.Path(f"/proc/{daemon.process.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)", limits).groups()
    assert soft == hard
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    assert re.search(r"Umask:\s+0077", status)
    for path in daemon.state.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    daemon.stop()


# ---- reloading


def test_reload(make):
    daemon = make().start()
    daemon.said.clear()
    daemon.reload(log_level="debug", server_threads="5")
    assert daemon.said[0][0] == "RELOADING=1"
    assert int(daemon.said[0][1].split("=")[1]) <= time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
    assert "reload: [log] level is another now" in daemon.text
    assert "reload: [server] threads is another now: restart for it to take effect" in daemon.text
    assert "reloaded; 2 options changed" in daemon.text
    daemon.stop()
    assert "listeners stops" in daemon.text  # it logs more than before


def test_reload_of_something_wrong_changes_nothing(make):
    daemon = make().start()
    daemon.reload(log_level="debug", log_format="xml", server_nonsense="1", server_certificate="/nonexistent")
    for text in ("[log] format 'xml': one of these", "[server] has no option 'nonsense'",
                 "reload: nothing was changed, because of what is wrong above"):
        assert text in daemon.text
    assert daemon.get("/livez")[0] == 200
    daemon.config.unlink()
    daemon.hang_up()
    daemon.wait_told("READY=1")
    daemon.wait_logged("reload: nothing was changed", 2)
    daemon.stop()
    assert "listeners stops" not in daemon.text


def test_many_reloads_under_load(make):
    daemon = make().start()
    for i in range(20):
        daemon.settings["log.level"] = "debug" if i % 2 else "info"
        daemon.write()
        daemon.hang_up()
        assert daemon.get("/healthz")[0] == 200
        daemon.told(5)
    daemon.reload(log_level="info")
    daemon.stop()


# ---- one database, one process; ports


def test_a_second_one_on_the_same_database_is_refused(make):
    first = make().start()
    second = make({"database.url": f"sqlite:{first.state}/holdfast.db",
                   "state.server_key_file": first.state / "seal.key"}).launch()
    second.ended(10)
    assert "only one can have an SQLite database" in second.text and str(first.process.pid) in second.text
    assert first.get("/healthz")[0] == 200
    # When the first is gone, however it went, the second can have it.
    first.process.kill()
    first.process.wait()
    second.start().stop()


def test_a_port_that_is_taken(make):
    first = make().start()
    second = make({"server.listen": f"127.0.0.1:0, 127.0.0.1:{first.port}"}).launch()
    second.ended(10)
    assert f"listeners: [server] listen '127.0.0.1:{first.port}': another program listens" in second.text
    first.stop()


def test_starts_again_after_it_was_killed(make):
    daemon = make().start()
    before = (daemon.state / "server.pem").read_bytes()
    for _ in range(3):
        daemon.process.kill()
        daemon.process.wait()
        daemon.start()
        assert daemon.get("/healthz")[0] == 200
    assert (daemon.state / "server.pem").read_bytes() == before
    daemon.stop()


def test_several_addresses(make):
    daemon = make({"server.listen": "127.0.0.1:0,\n  127.0.0.2:0"}).start()
    ports = re.findall(r"listens at https://(127\.0\.0\.[12]):(\d+)", daemon.text)
    assert [host for host, _ in ports] == ["127.0.0.1", "127.0.0.2"]
    for host, port in ports:
        context = ssl.create_default_context(cafile=daemon.state / "ca.pem")
        with socket.create_connection((host, int(port)), 5) as s, context.wrap_socket(s, server_hostname=host):
            pass
    daemon.stop()


# ---- certificates


def shown(daemon):
    return ssl.get_server_certificate(("127.0.0.1", daemon.port))


def test_an_authority_of_its_own(make, folder):
    daemon = make().start()
    der = ssl.PEM_cert_to_DER_cert((daemon.state / "ca.pem").read_text())
    print_ = ":".join(f"{b:02X}" for b in hashlib.sha256(der).digest())
    assert f"SHA-256 of its certificate: {print_}" in daemon.text
    assert daemon.get("/ca.pem") == (200, (daemon.state / "ca.pem").read_bytes())
    other = make().start()
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        daemon.get("/livez", ca=other.state / "ca.pem")
    other.stop()
    with pytest.raises(OSError):
        daemon.get("/livez", scheme="http")
    # A restart keeps it, and another name makes a certificate, not an authority.
    before, ca = shown(daemon), (daemon.state / "ca.pem").read_bytes()
    daemon.stop().start()
    assert shown(daemon) == before
    daemon.stop()
    daemon.settings["server.public_url"] = "https://backup.example.com:8799"
    daemon.write()
    daemon.start()
    assert shown(daemon) != before and (daemon.state / "ca.pem").read_bytes() == ca
    assert "it lacks a name of this server" in daemon.text
    context = ssl.create_default_context(cafile=daemon.state / "ca.pem")
    with socket.create_connection(("127.0.0.1", daemon.port), 5) as s:
        with context.wrap_socket(s, server_hostname="backup.example.com"):
            pass
    daemon.stop()


@pytest.mark.parametrize("name", ["ca-key.pem", "server.pem"])
def test_a_damaged_certificate(make, name):
    """The server's is made anew; an authority that others trust is not, and the way out is named."""
    daemon = make().start()
    daemon.stop()
    (daemon.state / name).write_text("-----BEGIN CERTIFICATE-----\n")
    if name == "server.pem":
        daemon.start().stop()
        return
    daemon.launch().ended(7)
    assert f"'{daemon.state}/ca-key.pem' does not hold a certificate and a key: remove it" in daemon.text


def test_a_certificate_that_is_made_anew_while_it_runs(make):
    daemon = make().start()
    before = shown(daemon)
    (daemon.state / "server.pem").unlink()
    daemon.reload()
    assert shown(daemon) != before
    assert daemon.get("/livez")[0] == 200
    daemon.stop()


def test_a_named_certificate(make, folder):
    cert, key = certificate(folder, "one")
    daemon = make({"server.certificate": cert, "server.key": key}).start()
    assert shown(daemon) == cert.read_text()
    assert daemon.get("/livez", ca=cert)[0] == 200
    assert daemon.get("/ca.pem", ca=cert)[0] == 404
    assert not (daemon.state / "ca.pem").exists()
    # Replaced, as by a tool that renews it; then by one that ends soon; then by one without its key.
    certificate(folder, "two", days=3)
    daemon.reload()
    assert shown(daemon) == cert.read_text()
    daemon.wait_logged(r"\[server\] certificate: it ends at .*: replace it and reload")
    before = shown(daemon)
    kept = key.read_text()
    certificate(folder, "three")
    write_secret(key, kept)
    daemon.reload()
    assert shown(daemon) == before
    assert "reload: listeners goes on as it was" in daemon.text
    daemon.stop()


# ---- messages


def test_log_as_json(make):
    daemon = make({"log.format": "json", "log.level": "debug"}).start()
    daemon.stop()
    lines = [json.loads(line) for line in daemon.text.splitlines()]
    assert {"time", "level", "program", "message"} == set(lines[0])
    assert {line["program"] for line in lines} == {"holdfastd"}
    assert {"info", "debug"} <= {line["level"] for line in lines}


def test_log_for_journald(make):
    daemon = make(env={"JOURNAL_STREAM": "1:2"}).start()
    daemon.stop()
    assert daemon.text.splitlines()[-1] == "<6>holdfastd: ended"


def test_disk_full_at_the_start(make, small_folder):
    place = small_folder(1)
    daemon = make({"state.directory": place / "s"})
    (place / "fill").write_bytes(b"x" * (1024 * 1024 - 8192 * 4))
    daemon.launch()
    code = daemon.process.wait(60)
    assert code in (12, 13), daemon.text
    shutil.rmtree(place / "s", ignore_errors=True)
