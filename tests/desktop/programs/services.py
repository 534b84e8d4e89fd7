# Services of a desktop that print the calls they get as lines of JSON and obey lines on standard input: the daemon, a
# notification server, players, logind, a screen saver and a tray. Arguments name those that are there at the start.
import json, os, subprocess, sys, time
from gi.repository import Gio, GLib

XML = {
    "Manager": """<interface name="org.hearken.Hearken1.Manager">
        <method name="CreateSession"><arg type="a{sv}" direction="in"/><arg type="o" direction="out"/></method>
        <property name="Version" type="s" access="read"/><property name="State" type="u" access="read"/>
        <property name="StatusMessage" type="s" access="read"/><property name="Model" type="s" access="read"/>
        <property name="Backend" type="s" access="read"/><property name="PreCapture" type="d" access="read"/></interface>""",
    "Session": """<interface name="org.hearken.Hearken1.Session">
        <method name="Start"/><method name="Stop"/><method name="Toggle"/><method name="Cancel"/>
        <property name="State" type="u" access="read"/><property name="Device" type="s" access="read"/>
        <property name="StatusMessage" type="s" access="read"/><property name="Metrics" type="a{sv}" access="read"/>
        <property name="Context" type="s" access="readwrite"/></interface>""",
    "ObjectManager": """<interface name="org.freedesktop.DBus.ObjectManager">
        <method name="GetManagedObjects"><arg type="a{oa{sa{sv}}}" direction="out"/></method></interface>""",
    "Notifications": """<interface name="org.freedesktop.Notifications">
        <method name="Notify"><arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/>
        <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="as" direction="in"/>
        <arg type="a{sv}" direction="in"/><arg type="i" direction="in"/><arg type="u" direction="out"/></method>
        <method name="GetCapabilities"><arg type="as" direction="out"/></method>
        <method name="CloseNotification"><arg type="u" direction="in"/></method></interface>""",
    "Player": """<interface name="org.mpris.MediaPlayer2.Player"><method name="Play"/><method name="Pause"/>
        <property name="PlaybackStatus" type="s" access="read"/><property name="CanPause" type="b" access="read"/></interface>""",
    "Logind": """<interface name="org.freedesktop.login1.Manager">
        <method name="Inhibit"><arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/>
        <arg type="s" direction="in"/><arg type="h" direction="out"/></method></interface>""",
    "LoginSession": """<interface name="org.freedesktop.login1.Session"><property name="User" type="(uo)" access="read"/>
        </interface>""",
    "Watcher": """<interface name="org.kde.StatusNotifierWatcher">
        <method name="RegisterStatusNotifierItem"><arg type="s" direction="in"/></method></interface>""",
}
INFO = {name: Gio.DBusNodeInfo.new_for_xml(f"<node>{xml}</node>").interfaces[0] for name, xml in XML.items()}
ROOT, SESSION = "/org/hearken/Hearken1", "/org/hearken/Hearken1/Session/1"
STATES = {"idle": 1, "starting": 2, "listening": 3, "device-lost": 4, "finishing": 5}
bus = Gio.bus_get_sync(Gio.BusType.SESSION)
state = {"session": "idle", "message": "", "notifications": 0, "item": None, "inhibitors": []}
players, names = {}, {}

def report(event, **more):
    print(json.dumps({"event": event, **more}, ensure_ascii=False), flush=True)

def emit(path, interface, member, signature, *values, connection=bus):
    connection.emit_signal(None, path, interface, member, GLib.Variant(f"({signature})", values))

def set_state(name, message=None):
    state["session"] = name
    changed = {"State": GLib.Variant("u", STATES[name])}
    if message is not None:
        state["message"] = message
        changed = {"StatusMessage": GLib.Variant("s", message), **changed}
    emit(SESSION, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as",
         "org.hearken.Hearken1.Session", changed, [])

def playing():
    # What the sound server plays, if there is one.
    if not os.path.exists(os.path.join(os.environ["XDG_RUNTIME_DIR"], "pulse/native")):
        return ""
    listed = subprocess.run(["pactl", "list", "short", "sink-inputs"], capture_output=True, text=True)
    return listed.stdout + listed.stderr

def called(connection, sender, path, interface, method, arguments, invocation):
    service = interface.split(".")[-1]
    unpacked = arguments.unpack()
    report("call", service=service, method=method, arguments=unpacked, playing=playing() if method == "Start" else None)
    answer = None
    if method == "CreateSession":
        answer = GLib.Variant("(o)", (SESSION,))
    elif method == "GetManagedObjects":
        answer = GLib.Variant("(a{oa{sa{sv}}})", ({SESSION: {"org.hearken.Hearken1.Session": {}}},))
    elif service == "Session":
        is_on = state["session"] in ("listening", "device-lost")
        if method == "Start" or (method == "Toggle" and not is_on):
            set_state("listening")
        elif is_on:
            set_state("finishing")
            set_state("idle")
    elif method == "Notify":
        state["notifications"] = unpacked[1] or state["notifications"] + 1
        answer = GLib.Variant("(u)", (state["notifications"],))
    elif method == "GetCapabilities":
        answer = GLib.Variant("(as)", (["body", "body-markup", "actions"],))
    elif method in ("Play", "Pause"):
        name = next(name for name, player in players.items() if player["connection"] == connection)
        players[name]["status"] = "Playing" if method == "Play" else "Paused"
        report("player", name=name, status=players[name]["status"])
    elif method == "Inhibit":
        ours, theirs = os.pipe()
        fds = Gio.UnixFDList.new()
        index = fds.append(theirs)
        os.close(theirs)
        # The other side is gone when the last copy is closed.
        GLib.io_add_watch(ours, GLib.IO_HUP, lambda *_: report("released") and False)
        invocation.return_value_with_unix_fd_list(GLib.Variant("(h)", (index,)), fds)
        return
    elif method == "RegisterStatusNotifierItem":
        state["item"] = unpacked[0]
    invocation.return_value(answer)

def got(connection, sender, path, interface, name):
    values = {
        "Version": ("s", "0.0.0"), "Model": ("s", "base"), "Backend": ("s", "cpu"), "PreCapture": ("d", 0.0),
        "Device": ("s", "microphone"), "Metrics": ("a{sv}", {}), "Context": ("s", ""), "CanPause": ("b", True),
        "User": ("(uo)", (os.getuid(), "/org/freedesktop/login1/user/me")),
        "StatusMessage": ("s", state["message"]),
    }
    if name == "State":
        return GLib.Variant("u", 2 if path == ROOT else STATES[state["session"]])
    if name == "PlaybackStatus":
        return GLib.Variant("s", next(p["status"] for p in players.values() if p["connection"] == connection))
    return GLib.Variant(*values[name])

def serve(path, *interfaces, connection=bus):
    for interface in interfaces:
        connection.register_object(path, INFO[interface], called, got, lambda *_: True)

def own(name, connection=bus):
    connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                         GLib.Variant("(su)", (name, 0)), None, 0, -1, None)

def release(name):
    bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReleaseName",
                  GLib.Variant("(s)", (name,)), None, 0, -1, None)

NAMES = {"daemon": "org.hearken.Hearken1", "notifications": "org.freedesktop.Notifications",
         "logind": "org.freedesktop.login1", "watcher": "org.kde.StatusNotifierWatcher"}

def add_player(name, status):
    address = os.environ["DBUS_SESSION_BUS_ADDRESS"]
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    connection = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
    players[name] = {"connection": connection, "status": status}
    serve("/org/mpris/MediaPlayer2", "Player", connection=connection)
    own(f"org.mpris.MediaPlayer2.{name}", connection)

def item_property(name):
    answer = bus.call_sync(state["item"], "/StatusNotifierItem", "org.freedesktop.DBus.Properties", "Get",
                           GLib.Variant("(ss)", ("org.kde.StatusNotifierItem", name)), None, 0, 2000, None)
    return answer.unpack()[0]

def menu():
    answer = bus.call_sync(state["item"], "/Menu", "com.canonical.dbusmenu", "GetLayout",
                           GLib.Variant("(iias)", (0, -1, [])), None, 0, 2000, None)
    return [(entry[0], entry[1].get("label"), entry[1].get("enabled")) for entry in answer.unpack()[1][2]]

def obey(line):
    word, _, rest = line.partition(" ")
    details = {}
    if word == "own":
        own(NAMES[rest])
    elif word == "release":
        release(NAMES[rest])
    elif word == "state":
        set_state(rest)
    elif word == "lost":
        set_state("device-lost", rest)
    elif word == "partial":
        committed, interim = rest.split("|")
        emit(SESSION, "org.hearken.Hearken1.Session", "Partial", "ttssa{sv}", 1, 1, committed, interim, details)
    elif word == "final":
        emit(SESSION, "org.hearken.Hearken1.Session", "Final", "ttsa{sv}", 1, 2, rest, details)
    elif word == "lock":
        emit("/org/freedesktop/login1/session/_31", "org.freedesktop.login1.Session", "Lock", "")
    elif word == "locked-hint":
        emit("/org/freedesktop/login1/session/_31", "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as",
             "org.freedesktop.login1.Session", {"LockedHint": GLib.Variant("b", True)}, [])
    elif word == "sleep":
        emit("/org/freedesktop/login1", "org.freedesktop.login1.Manager", "PrepareForSleep", "b", rest == "begin")
    elif word == "screensaver":
        emit("/org/gnome/ScreenSaver", "org.gnome.ScreenSaver", "ActiveChanged", "b", rest == "on")
    elif word == "press":
        emit("/org/freedesktop/Notifications", "org.freedesktop.Notifications", "ActionInvoked", "us",
             state["notifications"], rest)
    elif word == "player":
        name, status = rest.split()
        if name in players:
            players[name]["status"] = status
        else:
            add_player(name, status)
    elif word == "item":
        report("item", status=item_property("Status"), tooltip=item_property("ToolTip")[3], menu=menu(),
               icons=[[width, height, bytes(pixels).hex()] for width, height, pixels in item_property("IconPixmap")])
    elif word == "activate":
        bus.call_sync(state["item"], "/StatusNotifierItem", "org.kde.StatusNotifierItem", "Activate",
                      GLib.Variant("(ii)", (0, 0)), None, 0, 2000, None)
    elif word == "hang":
        report("done", text=line)
        time.sleep(float(rest))
        return
    elif word == "choose":
        bus.call_sync(state["item"], "/Menu", "com.canonical.dbusmenu", "Event",
                      GLib.Variant("(isvu)", (int(rest), "clicked", GLib.Variant("i", 0), 0)), None, 0, 2000, None)
    report("done", text=line)

def read(descriptor, condition):
    data = os.read(descriptor, 65536)
    if not data:
        loop.quit()
        return False
    for line in data.decode().splitlines():
        obey(line)
    return True

serve(ROOT, "Manager", "ObjectManager")
serve(SESSION, "Session")
serve("/org/freedesktop/Notifications", "Notifications")
serve("/org/freedesktop/login1", "Logind")
serve("/org/freedesktop/login1/session/_31", "LoginSession")
serve("/StatusNotifierWatcher", "Watcher")
for name in sys.argv[1:]:
    own(NAMES[name])
GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, read)
report("ready")
loop = GLib.MainLoop()
loop.run()
