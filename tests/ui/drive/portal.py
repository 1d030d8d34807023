"""The part of a desktop that says whether it is dark: the Settings portal, on the session bus; and
that of which it is asked not to fall asleep, for GTK takes all portals to be there when one is.

Served from a thread, for who asks does so while it is being waited for.
"""
import threading

import desktop
from gi.repository import Gio, GLib

NAME, PATH = "org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop"
INTERFACE, NAMESPACE, KEY = "org.freedesktop.portal.Settings", "org.freedesktop.appearance", \
    "color-scheme"
XML = f"""<node><interface name="org.freedesktop.portal.Inhibit">
<method name="Inhibit"><arg type="s" direction="in"/><arg type="u" direction="in"/>
<arg type="a{{sv}}" direction="in"/><arg type="o" direction="out"/></method>
</interface><interface name="{INTERFACE}">
<method name="Read"><arg type="s" direction="in"/><arg type="s" direction="in"/>
<arg type="v" direction="out"/></method>
<method name="ReadAll"><arg type="as" direction="in"/><arg type="a{{sa{{sv}}}}" direction="out"/></method>
<signal name="SettingChanged"><arg type="s"/><arg type="s"/><arg type="v"/></signal>
<property name="version" type="u" access="read"/></interface></node>"""


_portal = None


def desktop_colours():
    """The one of this process; programs that are started afterwards follow it."""
    global _portal
    _portal = _portal or Portal()
    return _portal


class Portal:

    def __init__(self, dark=False):
        self.dark, ready = dark, threading.Event()
        desktop.start()
        threading.Thread(target=self._serve, args=[ready], daemon=True).start()
        ready.wait()

    def set_dark(self, dark):
        self.dark = dark
        self.bus.emit_signal(None, PATH, INTERFACE, "SettingChanged",
                             GLib.Variant("(ssv)", (NAMESPACE, KEY, self._value())))

    def _value(self):
        return GLib.Variant("u", 1 if self.dark else 2)

    def _serve(self, ready):
        context = GLib.MainContext()
        context.push_thread_default()
        self.bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        self.bus.set_exit_on_close(False)
        for interface in Gio.DBusNodeInfo.new_for_xml(XML).interfaces:
            self.bus.register_object(PATH, interface, self._call, self._get, None)
        self.bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                           "RequestName", GLib.Variant("(su)", (NAME, 4)), None, 0, -1, None)
        ready.set()
        while True:
            context.iteration(True)

    def _get(self, *_):
        return GLib.Variant("u", 1)

    def _call(self, _bus, _sender, _path, _interface, method, arguments, invocation):
        if method == "Inhibit":
            invocation.return_value(GLib.Variant("(o)", (PATH + "/request",)))
        elif method == "ReadAll":
            invocation.return_value(GLib.Variant("(a{sa{sv}})",
                                                 ({NAMESPACE: {KEY: self._value()}},)))
        elif arguments.unpack() == (NAMESPACE, KEY):
            invocation.return_value(GLib.Variant("(v)", (GLib.Variant("v", self._value()),)))
        else:
            invocation.return_dbus_error("org.freedesktop.portal.Error.NotFound", "no such setting")
