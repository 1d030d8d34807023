"""The part of a desktop that says whether it is dark: the Settings portal; and that of which it is
asked not to fall asleep, for GTK takes all portals to be there when one is."""
from gi.repository import GLib
from service import Service, node

NAMESPACE, KEY = "org.freedesktop.appearance", "color-scheme"
_portal = None


def desktop_colours():
    """The one of this process; programs that are started afterwards follow it."""
    global _portal
    _portal = _portal or Portal()
    return _portal


class Portal(Service):
    NAME, PATH = "org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop"
    SETTINGS = "org.freedesktop.portal.Settings"
    XML = "<node>" + node(
        "org.freedesktop.portal.Inhibit", ("Inhibit", "s u a{sv}", "o")) + node(
        SETTINGS, ("Read", "s s", "v"), ("ReadAll", "as", "a{sa{sv}}"),
        '<signal name="SettingChanged"><arg type="s"/><arg type="s"/><arg type="v"/></signal>',
        '<property name="version" type="u" access="read"/>') + "</node>"

    dark = False

    def set_dark(self, dark):
        self.dark = dark
        self.bus.emit_signal(None, self.PATH, self.SETTINGS, "SettingChanged",
                             GLib.Variant("(ssv)", (NAMESPACE, KEY, self._value())))

    def _value(self):
        return GLib.Variant("u", 1 if self.dark else 2)

    def Inhibit(self, *_):
        return GLib.Variant("(o)", (self.PATH + "/request",))

    def Read(self, *key):
        if key != (NAMESPACE, KEY):
            raise KeyError(key)
        return GLib.Variant("(v)", (GLib.Variant("v", self._value()),))

    def ReadAll(self, _):
        return GLib.Variant("(a{sa{sv}})", ({NAMESPACE: {KEY: self._value()}},))
