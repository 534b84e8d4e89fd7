# A daemon of Hearken that hears what lines of JSON on standard input say, and tells what it is asked for.
import gi, json, os, sys
from gi.repository import Gio, GLib

NAME, PATH = "org.hearken.Hearken1", "/org/hearken/Hearken1"
SESSION = PATH + "/session/1"
XML = """<node>
<interface name="org.hearken.Hearken1.Manager">
  <method name="CreateSession"><arg type="a{sv}" direction="in"/><arg type="o" direction="out"/></method>
</interface>
<interface name="org.hearken.Hearken1.Session">
  <method name="Start"/><method name="Stop"/><method name="Toggle"/><method name="Cancel"/>
  <property name="State" type="u" access="read"/>
  <property name="Device" type="s" access="read"/>
  <property name="StatusMessage" type="s" access="read"/>
  <property name="Context" type="s" access="readwrite"/>
</interface></node>"""
IDLE, LISTENING = 1, 3
properties = {"State": GLib.Variant("u", IDLE), "Device": GLib.Variant("s", "microphone"),
              "StatusMessage": GLib.Variant("s", ""), "Context": GLib.Variant("s", "")}
speaking = None
bus = Gio.bus_get_sync(Gio.BusType.SESSION)

def report(event, **more):
    print(json.dumps({"event": event, **more}, ensure_ascii=False), flush=True)

def emit(interface, signal, values):
    bus.emit_signal(None, SESSION, interface, signal, values)

def partial(utterance, committed, interim):
    global speaking
    speaking = (utterance, committed + interim)
    details = {"language": GLib.Variant("s", "en")}
    emit(NAME + ".Session", "Partial", GLib.Variant("(ttssa{sv})", (utterance, 1, committed, interim, details)))

def final(utterance, text):
    global speaking
    speaking = None
    details = {"language": GLib.Variant("s", "en")}
    emit(NAME + ".Session", "Final", GLib.Variant("(ttsa{sv})", (utterance, 1, text, details)))

def enter(state):
    properties["State"] = GLib.Variant("u", state)
    changed = (NAME + ".Session", {"State": properties["State"]}, [])
    emit("org.freedesktop.DBus.Properties", "PropertiesChanged", GLib.Variant("(sa{sv}as)", changed))

def stop():
    if speaking:
        final(*speaking)
    enter(IDLE)

def call(connection, sender, path, interface, method, arguments, invocation):
    report("call", name=method)
    is_idle = properties["State"].unpack() == IDLE
    if method == "CreateSession":
        invocation.return_value(GLib.Variant("(o)", (SESSION,)))
        return
    if method == "Start" or (method == "Toggle" and is_idle):
        enter(LISTENING)
    elif not is_idle:
        stop()
    invocation.return_value(None)

def get(connection, sender, path, interface, name):
    return properties[name]

def set(connection, sender, path, interface, name, value):
    properties[name] = value
    report("set", name=name, value=value.unpack())
    return True

def obey(descriptor, condition):
    data = os.read(descriptor, 65536)
    if not data:
        sys.exit()
    for line in data.decode().splitlines():
        for name, arguments in json.loads(line).items():
            {"partial": partial, "final": final}[name](*arguments)
        bus.flush_sync()
        report("done", text=line)
    return True

manager, session = Gio.DBusNodeInfo.new_for_xml(XML).interfaces
bus.register_object(PATH, manager, call, get, set)
bus.register_object(SESSION, session, call, get, set)
GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, obey)
Gio.bus_own_name_on_connection(bus, NAME, 0, lambda *_: report("ready"), None)
GLib.MainLoop().run()
