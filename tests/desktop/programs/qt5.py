# A window of Qt 5 that prints what its fields hold and obeys lines on standard input.
import json, os, sys
from PyQt5.QtCore import QSocketNotifier, QTimer
from PyQt5.QtWidgets import QApplication, QLineEdit, QPushButton, QTextEdit, QVBoxLayout, QWidget

def report(event, **more):
    print(json.dumps({"event": event, **more}, ensure_ascii=False), flush=True)

application = QApplication(sys.argv)
window = QWidget()
window.setWindowTitle("hearken-target")
layout = QVBoxLayout(window)
view, second, secret, button = QTextEdit(), QLineEdit(), QLineEdit(), QPushButton("no text")
secret.setEchoMode(QLineEdit.Password)
fields = {"view": view, "second": second, "secret": secret, "button": button}
for field in fields.values():
    layout.addWidget(field)
view.textChanged.connect(lambda: report("text", field="view", text=view.toPlainText()))
for name in ("second", "secret"):
    fields[name].textChanged.connect(lambda text, name=name: report("text", field=name, text=text))

def obey():
    data = os.read(sys.stdin.fileno(), 65536)
    if not data:
        application.quit()
    for line in data.decode().splitlines():
        word, _, rest = line.partition(" ")
        if word == "focus":
            fields[rest].setFocus()
        elif word == "set":
            view.setPlainText(rest)
        QTimer.singleShot(0, lambda line=line: report("done", text=line))

notifier = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Read)
notifier.activated.connect(obey)
window.show()
view.setFocus()
QTimer.singleShot(0, lambda: report("ready"))
application.exec_()
