# A window of GTK 4 that prints what its fields hold and obeys lines on standard input.
import gi, json, os, sys
gi.require_version("Gtk", "4.0")
from gi.repository import GLib, Gtk

def report(event, **more):
    print(json.dumps({"event": event, **more}, ensure_ascii=False), flush=True)

def activate(application):
    window = Gtk.ApplicationWindow(application=application, title="hearken-target")
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
    view, second, secret = Gtk.TextView(vexpand=True), Gtk.Entry(), Gtk.PasswordEntry()
    fields = {"view": view, "second": second, "secret": secret}
    for field in fields.values():
        box.append(field)
    for name, shown in (("view", view), ("second", second.get_delegate())):
        shown.connect("preedit-changed", lambda _, text, name=name: report("preedit", field=name, text=text))
    button = fields["button"] = Gtk.Button(label="no text")
    box.append(button)
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

    GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, sys.stdin.fileno(), GLib.IOCondition.IN | GLib.IOCondition.HUP, obey)
    window.set_child(box)
    window.set_default_size(500, 200)
    window.connect("notify::is-active", lambda *_: report("active", value=window.is_active()))
    window.present()
    view.grab_focus()
    GLib.idle_add(lambda: report("ready") and False, priority=GLib.PRIORITY_LOW)

application = Gtk.Application(application_id="org.hearken.Target")
application.connect("activate", activate)
application.run([])
