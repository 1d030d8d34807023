"""Parts of a desktop that programs talk to over the session bus, as far as the tests need them.

Served from a thread, for who asks does so while it is being waited for.
"""
import threading

import desktop
from gi.repository import Gio, GLib


class Service:
    """Owns NAME and answers at PATH for the interfaces of XML: a call of METHOD goes to the method
    of that name, which gets the arguments and returns what the reply has, a GLib.Variant or None, or
    raises KeyError. All calls are kept: (method, arguments)."""
    NAME = PATH = XML = None

    def __init__(self):
        self.calls, ready = [], threading.Event()
        desktop.start()
        threading.Thread(target=self._serve, args=[ready], daemon=True).start()
        ready.wait()

    def called(self, method):
        return [arguments for name, arguments in self.calls if name == method]

    def _serve(self, ready):
        context = GLib.MainContext()
        context.push_thread_default()
        self.bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        self.bus.set_exit_on_close(False)
        for interface in Gio.DBusNodeInfo.new_for_xml(self.XML).interfaces:
            self.bus.register_object(self.PATH, interface, self._call, self._get, None)
        self.bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                           "RequestName", GLib.Variant("(su)", (self.NAME, 4)), None, 0, -1, None)
        ready.set()
        while True:
            context.iteration(True)

    def _get(self, *_):
        return GLib.Variant("u", 1)

    def _call(self, _bus, _sender, _path, _interface, method, arguments, invocation):
        try:
            reply = getattr(self, method)(*arguments.unpack())
        except KeyError as error:
            invocation.return_dbus_error("org.freedesktop.DBus.Error.Failed", str(error))
        else:
            invocation.return_value(reply)
        self.calls.append((method, arguments.unpack()))


def node(interface, *members):
    """The XML of an interface; a member is NAME IN OUT (types) or has XML of its own."""
    def arguments(types, direction):
        return "".join(f'<arg type="{one}" direction="{direction}"/>' for one in types.split())

    def xml(member):
        if isinstance(member, str):
            return member
        name, into, out = member
        return f'<method name="{name}">{arguments(into, "in")}{arguments(out, "out")}</method>'
    return f'<interface name="{interface}">' + "".join(map(xml, members)) + "</interface>"


class Notifications(Service):
    NAME, PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
    XML = "<node>" + node(NAME, ("Notify", "s u s s s as a{sv} i", "u"),
                          ("CloseNotification", "u", ""), ("GetCapabilities", "", "as"),
                          ("GetServerInformation", "", "s s s s"),
                          '<signal name="ActionInvoked"><arg type="u"/><arg type="s"/></signal>'
                          ) + "</node>"

    def Notify(self, *_):
        return GLib.Variant("(u)", (len(self.called("Notify")) + 1,))

    def CloseNotification(self, _):
        return None

    def GetCapabilities(self):
        return GLib.Variant("(as)", (["actions", "body"],))

    def GetServerInformation(self):
        return GLib.Variant("(ssss)", ("tests", "Hearth", "1", "1.2"))

    def press(self, number, action):
        self.bus.emit_signal(None, self.PATH, self.NAME, "ActionInvoked",
                             GLib.Variant("(us)", (number, action)))


class SessionManager(Service):
    """GNOME's, which others speak as well."""
    NAME, PATH, COOKIE = "org.gnome.SessionManager", "/org/gnome/SessionManager", 7
    XML = "<node>" + node(NAME, ("RegisterClient", "s s", "o"), ("UnregisterClient", "o", ""),
                          ("Inhibit", "s u s u", "u"), ("Uninhibit", "u", "")) + "</node>"

    def RegisterClient(self, *_):
        return GLib.Variant("(o)", (self.PATH + "/Client1",))

    def UnregisterClient(self, _):
        return None

    def Inhibit(self, *_):
        return GLib.Variant("(u)", (self.COOKIE,))

    def Uninhibit(self, _):
        return None
