# A portal with the interfaces Registry and GlobalShortcuts. It obeys "press ID" and "release ID" on standard input, and
# answers BindShortcuts with the number in RESPONSE.
import gi, json, os, sys
from gi.repository import Gio, GLib

NAME, PATH = "org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop"
SHORTCUTS = "org.freedesktop.portal.GlobalShortcuts"
XML = f"""<node>
<interface name="org.freedesktop.host.portal.Registry">
  <method name="Register"><arg type="s" direction="in"/><arg type="a{{sv}}" direction="in"/></method>
</interface>
<interface name="{SHORTCUTS}">
  <method name="CreateSession"><arg type="a{{sv}}" direction="in"/><arg type="o" direction="out"/></method>
  <method name="BindShortcuts">
    <arg type="o" direction="in"/><arg type="a(sa{{sv}})" direction="in"/><arg type="s" direction="in"/>
    <arg type="a{{sv}}" direction="in"/><arg type="o" direction="out"/>
  </method>
  <property name="version" type="u" access="read"/>
</interface></node>"""
bus = Gio.bus_get_sync(Gio.BusType.SESSION)
session = owner = None

def report(event, **more):
    print(json.dumps({"event": event, **more}, ensure_ascii=False), flush=True)

def respond(sender, token, code, results):
    path = f"{PATH}/request/{sender[1:].replace('.', '_')}/{token}"
    values = GLib.Variant("(ua{sv})", (code, results))
    GLib.idle_add(lambda: bus.emit_signal(sender, path, "org.freedesktop.portal.Request", "Response", values) and False)
    return GLib.Variant("(o)", (path,))

def call(connection, sender, path, interface, method, arguments, invocation):
    global session, owner
    given = arguments.unpack()
    report("call", name=method, arguments=given)
    answer = None
    if method == "CreateSession":
        options = given[0]
        session, owner = f"{PATH}/session/{sender[1:].replace('.', '_')}/{options['session_handle_token']}", sender
        results = {"session_handle": GLib.Variant("s", session)}
        answer = respond(sender, options["handle_token"], 0, results)
    elif method == "BindShortcuts":
        bound = [(name, {"trigger_description": GLib.Variant("s", "Press it")}) for name, _ in given[1]]
        results = {"shortcuts": GLib.Variant("a(sa{sv})", bound)} if os.environ.get("RESPONSE") != "1" else {}
        answer = respond(sender, given[3]["handle_token"], int(os.environ.get("RESPONSE", "0")), results)
    invocation.return_value(answer)

def obey(descriptor, condition):
    data = os.read(descriptor, 65536)
    if not data:
        sys.exit()
    for line in data.decode().splitlines():
        word, name = line.split()
        signal = {"press": "Activated", "release": "Deactivated"}[word]
        time = GLib.get_monotonic_time() // 1000
        bus.emit_signal(owner, PATH, SHORTCUTS, signal, GLib.Variant("(osta{sv})", (session, name, time, {})))
        bus.flush_sync()
        report("done", text=line)
    return True

for interface in Gio.DBusNodeInfo.new_for_xml(XML).interfaces:
    bus.register_object(PATH, interface, call, lambda *_: GLib.Variant("u", 1))
GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, obey)
Gio.bus_own_name_on_connection(bus, NAME, 0, lambda *_: report("ready"), None)
GLib.MainLoop().run()
