"""`import zmq` means pyzq: in fresh interpreters, where an installed pyzmq would show itself as a fall-back."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.impl import ours_only

import pyzq
import zcore
from pyzq._alias import SITE

pytestmark = [ours_only, pytest.mark.keeps_open]

PATH = os.pathsep.join(sorted({str(Path(module.__file__).parents[1]) for module in (pyzq, zcore)}))
PURE = """
def pure():
    import sys
    wrong = [name for name, module in list(sys.modules.items())
             if name.partition('.')[0] == 'zmq' and sys.modules.get('pyzq' + name[3:]) is not module]
    assert not wrong, wrong
    try:
        with open('/proc/self/maps') as maps:
            assert 'libzmq' not in maps.read()
    except FileNotFoundError:
        pass
"""


def run(*arguments, code=None, rc=0, cwd=None, **env):
    """The output of a fresh interpreter; `code` is given to it after a function `pure`, which looks for a fall-back."""
    base = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYZQ_AS_ZMQ")}
    base.update(PYTHONPATH=PATH, PYTHONDONTWRITEBYTECODE="1")
    base.update(env)
    command = [sys.executable, *arguments] + ([] if code is None else ["-c", PURE + code])
    done = subprocess.run(command, env=base, cwd=cwd, capture_output=True, text=True, timeout=50)
    assert done.returncode == rc, done.stdout + done.stderr
    return done.stdout + done.stderr


def aliased(code, *arguments, **kwargs):
    return run(*arguments, code=f"import pyzq; pyzq.install_as_zmq()\n{code}", **kwargs)


EVERY_MODULE = """
_future asyncio auth auth.asyncio auth.base auth.certs auth.thread backend backend.cython backend.select constants
curve_keygen decorators devices devices.basedevice devices.monitoredqueue devices.monitoredqueuedevice
devices.proxydevice devices.proxysteerabledevice error log log.handlers ssh ssh.forward ssh.tunnel sugar
sugar.attrsettr sugar.context sugar.frame sugar.poll sugar.socket sugar.stopwatch sugar.tracker sugar.version tests
utils utils.garbage utils.interop utils.jsonapi utils.monitor utils.strtypes utils.win32 utils.z85
"""
NAMES = EVERY_MODULE.split()


def test_same_modules_under_both_names():
    aliased(
        f"""
import importlib, sys, warnings
warnings.simplefilter('ignore')
import zmq
assert zmq is pyzq and zmq.__name__ == 'pyzq' and zmq.__spec__.name == 'pyzq'
names = {NAMES!r}
for package, more in (('tornado', 'eventloop eventloop.ioloop eventloop.zmqstream eventloop.future auth.ioloop'),
                      ('gevent', 'green green.core green.poll green.device')):
    try:
        importlib.import_module(package)
        names += more.split()
    except ImportError:
        pass
for name in names:
    a, b = importlib.import_module('zmq.' + name), importlib.import_module('pyzq.' + name)
    assert a is b is sys.modules['zmq.' + name], name
    assert a.__spec__.name == 'pyzq.' + name, a.__spec__
    parent, _, leaf = ('zmq.' + name).rpartition('.')
    if name != 'green.device':
        assert getattr(sys.modules[parent], leaf) is a, name
from zmq.error import ZMQError
assert ZMQError is pyzq.ZMQError
pure()
"""
    )


def test_in_either_order():
    aliased("import pyzq.sugar.socket, zmq.sugar.socket as z; assert z is pyzq.sugar.socket; pure()")
    aliased("import zmq.sugar.socket as z, pyzq.sugar.socket; assert z is pyzq.sugar.socket; pure()")
    aliased("from zmq import *; assert Context is pyzq.Context; pure()")
    aliased("from zmq import asyncio as a; import pyzq.asyncio as b; assert a is b; pure()")


def test_functions_are_not_replaced_by_modules_of_their_name():
    pytest.importorskip("gevent")
    aliased(
        "import pyzq.green\nimport zmq.green.device\nassert callable(zmq.green.device)\n"
        "import zmq.proxy\nassert callable(zmq.proxy) and callable(pyzq.proxy)"
    )


def test_what_is_missing_is_an_import_error():
    aliased(
        """
import importlib.util
try:
    import zmq.no_such_thing
except ModuleNotFoundError as error:
    assert error.name == 'zmq.no_such_thing', error.name
else:
    raise SystemExit('imported')
assert importlib.util.find_spec('zmq.nope') is None
assert importlib.util.find_spec('zmq.asyncio').name == 'zmq.asyncio'
pure()
"""
    )


def test_too_late():
    pytest.importorskip("zmq")
    out = run(
        code="""
import zmq, pyzq
try:
    pyzq.install_as_zmq()
except ImportError as error:
    print(error)
assert zmq.__name__ == 'zmq'
"""
    )
    assert "imported already" in out


def test_again_and_without_children():
    aliased("pyzq.install_as_zmq(); pyzq.install_as_zmq(); import zmq; assert zmq is pyzq; pure()")
    out = run(
        code="""
import os, pyzq
before = os.environ['PYTHONPATH']
pyzq.install_as_zmq(children=False)
import zmq
assert zmq is pyzq and os.environ['PYTHONPATH'] == before and 'PYZQ_AS_ZMQ' not in os.environ
"""
    )
    assert not out


def test_version_of_the_distribution():
    """With and without an installed pyzmq: what `zmq.__version__` says."""
    out = aliased(
        """
import importlib.metadata as metadata, zmq
assert metadata.version('pyzmq') == metadata.version('PyZMQ') == zmq.__version__ == zmq.pyzmq_version()
assert metadata.distribution('pyzmq').metadata['Name'] == 'pyzmq'
print(len([one for one in metadata.distributions() if one.metadata['Name'] == 'pyzmq']))
"""
    )
    installed = [one for one in importlib.metadata.distributions() if one.metadata["Name"] == "pyzmq"]
    assert int(out) == len(installed)  # a list is of what is there


# child processes

CHILD = "import zmq; pure(); print(zmq.__name__)"


def test_subprocesses():
    code = f"import subprocess, sys\nchild = {PURE + CHILD!r}\n"
    for options in ([], ["-S"], ["-s"], ["-X", "utf8"]):
        out = aliased(
            f"{code}print(subprocess.run([sys.executable, *{options}, '-c', child], capture_output=True, text=True))"
        )
        # without `site` the interpreter may not find pyzq itself; what it must not do is to find another zmq
        assert "stdout='pyzq\\n'" in out or ("-S" in options and "ModuleNotFoundError" in out), out


def test_grandchildren():
    code = f"""
import subprocess, sys
inner = {PURE + CHILD!r}
outer = "import subprocess, sys; subprocess.run([sys.executable, '-c', " + repr(inner) + "], check=True)"
subprocess.run([sys.executable, '-c', outer], check=True)
"""
    assert aliased(code).split() == ["pyzq"]


@pytest.mark.parametrize("flags", [[], ["-I"]], ids=["plain", "isolated"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(tmp_path, method, flags):
    script = tmp_path / "program.py"
    script.write_text(
        f"""
import multiprocessing, sys
{PURE}
def work(queue):
    import zmq
    pure()
    queue.put(zmq.__name__)
if __name__ == '__main__':
    import zmq
    context = multiprocessing.get_context({method!r})
    queue = context.SimpleQueue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
    assert process.exitcode == 0
    pure()
"""
    )
    if flags and not _found_without_environment():
        pytest.skip("pyzq is found by PYTHONPATH alone here")
    assert run(*flags, "-m", "pyzq.as_zmq", str(script)).split() == ["pyzq"]


def _found_without_environment():
    done = subprocess.run([sys.executable, "-I", "-c", "import pyzq"], capture_output=True)
    return done.returncode == 0


def test_switched_off_in_a_child():
    pytest.importorskip("zmq")
    for options in ([], ["-S"]):
        out = run(
            *options,
            code="import sys, site; site.main(); import zmq; print(zmq.__name__)",
            PYZQ_AS_ZMQ="0",
            PYTHONPATH=os.pathsep.join([SITE, PATH]),
        )
        assert out.split() == ["zmq"]


def test_an_interpreter_without_pyzq_says_so(tmp_path):
    """Its own zmq, if it has one, is not used instead."""
    (tmp_path / "zmq.py").write_text("")
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['pyzq'] = None")
    for options in ([], ["-S"]):
        out = run(*options, code="import zmq", rc=1, PYTHONPATH=os.pathsep.join([SITE, str(tmp_path)]))
        assert "pyzq is to stand in for zmq" in out


def test_the_next_sitecustomize_has_its_turn(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.customized = __name__\n")
    out = run(
        code="import sitecustomize, zmq; print(zmq.__name__, customized, sitecustomize.__file__)",
        PYTHONPATH=os.pathsep.join([SITE, PATH, str(tmp_path)]),
    )
    assert out.split() == ["pyzq", "sitecustomize", str(tmp_path / "sitecustomize.py")]


def test_behind_another_sitecustomize(tmp_path):
    """One that stands first and does not go on: the package `zmq` of our folder does the same when imported."""
    (tmp_path / "sitecustomize.py").write_text("")
    path = os.pathsep.join([str(tmp_path), SITE, PATH])
    for statement in ("import zmq", "import zmq.asyncio, zmq", "from zmq.error import ZMQError; import zmq"):
        out = run(
            code=f"{statement}; import pyzq; assert zmq is pyzq; import zmq.auth, zmq.devices; pure(); print('good')",
            PYTHONPATH=path,
        )
        assert out.split() == ["good"]


def test_starting_costs_little():
    """An interpreter with the alias loads neither the package nor anything big until `zmq` is imported."""
    out = run(code="import sys; print(*[name for name in sys.modules])", PYTHONPATH=os.pathsep.join([SITE, PATH]))
    loaded = out.split()
    for name in ("pyzq", "zcore", "zmq", "asyncio", "re", "typing", "importlib.metadata"):
        assert name not in loaded


def test_the_check_names_what_is_not_pure(tmp_path):
    report = tmp_path / "report"
    for code, count in (("import zmq", 0), ("import sys; import zmq; sys.modules['zmq.alien'] = sys", 1)):
        run(code=code, PYTHONPATH=os.pathsep.join([SITE, PATH]), PYZQ_AS_ZMQ_CHECK=str(report))
        assert (report.read_text().count("zmq.alien") if report.exists() else 0) == count


# running programs

SCRIPT = f"""
import sys, os
{PURE}
import zmq
pure()
class Thing: pass
if __name__ == '__main__':
    import pickle
    assert type(pickle.loads(pickle.dumps(Thing()))) is Thing
    assert sys.modules['__main__'].Thing is Thing
    own, file = (os.path.basename(path) for path in (sys.argv[0], __file__))
    print(zmq.__name__, sys.argv[1:], own, file, __spec__ and __spec__.name)
    import neighbour
"""


def test_a_script(tmp_path):
    (tmp_path / "program.py").write_text(SCRIPT)
    (tmp_path / "neighbour.py").write_text("print('neighbour')")
    out = run("-m", "pyzq.as_zmq", str(tmp_path / "program.py"), "-m", "--x", "y")
    assert out.splitlines() == ["pyzq ['-m', '--x', 'y'] program.py program.py None", "neighbour"]


def test_a_module(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(SCRIPT)
    (package / "program.py").write_text(SCRIPT)
    (tmp_path / "neighbour.py").write_text("print('neighbour')")
    out = run("-m", "pyzq.as_zmq", "-m", "package.program", "a", cwd=tmp_path)
    assert out.splitlines() == ["pyzq ['a'] program.py program.py package.program", "neighbour"]
    out = run("-m", "pyzq.as_zmq", "-m", "package", "-m", cwd=tmp_path)
    assert out.splitlines() == ["pyzq ['-m'] __main__.py __main__.py package.__main__", "neighbour"]


def test_a_folder(tmp_path):
    (tmp_path / "__main__.py").write_text(SCRIPT)
    (tmp_path / "neighbour.py").write_text("print('neighbour')")
    out = run("-m", "pyzq.as_zmq", str(tmp_path), "b")
    assert out.splitlines()[0].startswith("pyzq ['b']")
    assert out.splitlines()[1] == "neighbour"


def test_exceptions_and_statuses(tmp_path):
    (tmp_path / "program.py").write_text("import zmq, sys\nif sys.argv[1:]: sys.exit(7)\n1 / 0\n")
    assert 'program.py", line 3' in run("-m", "pyzq.as_zmq", str(tmp_path / "program.py"), rc=1)
    run("-m", "pyzq.as_zmq", str(tmp_path / "program.py"), "x", rc=7)
    assert "no_such" in run("-m", "pyzq.as_zmq", str(tmp_path / "no_such.py"), rc=1)
    assert "no_such" in run("-m", "pyzq.as_zmq", "-m", "no_such", rc=1)
    assert "usage" in run("-m", "pyzq.as_zmq", rc=2)
    assert "usage" in run("-m", "pyzq.as_zmq", "--help")


def test_modules_of_the_alias_can_be_run():
    assert "usage" in run("-m", "pyzq.as_zmq", "-m", "zmq.log", "--help")
    out = aliased("import runpy, sys; sys.argv[1:] = ['--help']; runpy.run_module('zmq.log', run_name='__main__')")
    assert "usage" in out
    out = run("-m", "zmq.curve_keygen", "-h", PYTHONPATH=os.pathsep.join([SITE, PATH]))
    assert "python3 -m zmq.curve_keygen" in out


def test_threads_that_import_at_once():
    for _ in range(3):
        aliased(
            """
import threading, importlib, sys
names = ['zmq', 'pyzq', 'zmq.asyncio', 'pyzq.asyncio', 'zmq.auth.thread', 'pyzq.auth', 'zmq.devices',
         'zmq.log.handlers', 'pyzq.log.handlers', 'zmq.utils.monitor']
failed = []
start = threading.Barrier(3 * len(names))
def work(name):
    start.wait()
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed.append((name, error))
threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in names * 3]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(30)
assert not any(thread.is_alive() for thread in threads)
assert not failed, failed
pure()
"""
        )


def test_messages_travel():
    """A program for pyzmq, as it stands, on both sides of a socket."""
    aliased(
        """
import zmq, pickle
with zmq.Context() as context, context.socket(zmq.REP) as rep, context.socket(zmq.REQ) as req:
    port = rep.bind_to_random_port('tcp://127.0.0.1')
    req.connect(f'tcp://127.0.0.1:{port}')
    req.send_pyobj({'a': 1})
    assert rep.recv_pyobj() == {'a': 1}
    rep.send_string('x')
    assert req.recv_string() == 'x'
assert pickle.loads(pickle.dumps(zmq.ZMQError(11))).errno == 11
pure()
"""
    )
