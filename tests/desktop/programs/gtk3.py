# A window of GTK 3 that prints what its fields hold and obeys lines on standard input.
import gi, json, os, sys
gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk

def report(event, **more):
    print(json.dumps({"event": event, **more}, ensure_ascii=False), flush=True)

window = Gtk.Window(title="hearken-target")
box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
view, second, secret = Gtk.TextView(), Gtk.Entry(), Gtk.Entry()
secret.set_visibility(False)
secret.set_input_purpose(Gtk.InputPurpose.PASSWORD)
fields = {"view": view, "second": second, "secret": secret}
for name, field in fields.items():
    box.pack_start(field, name == "view", True, 0)
    field.connect("preedit-changed", lambda _, text, name=name: report("preedit", field=name, text=text))
button = fields["button"] = Gtk.Button(label="no text")
box.pack_start(button, False, True, 0)
buffer = view.get_buffer()
text = lambda: buffer.get_text(buffer.get_start_iter(), buffer.get_end_iter(), True)
buffer.connect("changed", lambda _: report("text", field="view", text=text()))
for name in ("second", "secret"):
    fields[name].connect("changed", lambda field, name=name: report("text", field=name, text=field.get_text()))

def obey(descriptor, condition):
    data = os.read(descriptor, 65536)
    if not data:
        return False
    for line in data.decode().splitlines():
        word, _, rest = line.partition(" ")
        if word == "focus":
            fields[rest].grab_focus()
        elif word == "set":
            buffer.set_text(rest)
        # Once the main loop is idle, input methods know as well.
        GLib.idle_add(lambda line=line: report("done", text=line) and False, priority=GLib.PRIORITY_LOW)
    return True

GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, obey)
window.add(box)
window.set_default_size(500, 200)
window.connect("destroy", Gtk.main_quit)
window.connect("map-event", lambda *_: report("ready") and False)
window.show_all()
view.grab_focus()
Gtk.main()
