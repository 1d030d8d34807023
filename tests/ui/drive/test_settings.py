"""Settings: what is changed in the preferences takes effect at once, and is there again."""
import driver
import gguf_file
import screen
import seed
from driver import Case, Hearth, wait
from test_asking import content, endless, short


def preferences(app, page=None):
    app.key("ctrl+comma")
    window = app.window("Preferences")
    if page:
        window.wait_for(page, role=("tab", "toggle", "radio button")).click()
    return app.window("Preferences")


def choose(app, row, index):
    """The choice of that index of a row with a list of them."""
    row.click()
    wait("the list", lambda: app.focused() and app.focused().role == "list item"
         and app.focused().name == "")
    app.key("Home", *["Down"] * index, "Return")


def close(app):
    """Closes the window in front."""
    n = len(app.now().children)
    app.key("Escape")
    wait("the end of the window", lambda: len(app.now().children) < n)


class Preferences(Case):
    def test_longest_answer(self):
        with Hearth(endless()) as app:
            window = preferences(app, "Chat")
            window.wait_for("Longest Answer", role=("spin button", "slider")).set_value(7)
            close(app)
            app.send("Go")
            app.answered()
            app.rows()[1].wait_to_read("Reached the limit of 7 tokens")
            app.quit()
            self.assertEqual(app.setting("max-tokens", "chat"), "7")

    def test_temperature(self):
        path = driver.file("babble.gguf")
        with open(path, "wb") as file:
            file.write(gguf_file.llama())
        with Hearth(path, settings={"chat/temperature": 0.0, "chat/max-tokens": 24}) as app:
            app.send("Hello")
            app.answered()
            app.act(app.rows()[1], "Regenerate")
            wait("another version", lambda: app.rows()[1].reads("2/2"))
            app.answered()
            self.assertEqual(len(set(content(app))), 1, "without temperature there is no chance")
            window = preferences(app, "Chat")
            scale = window.wait_for("Temperature", role="slider")
            self.assertEqual(scale.value, 0)
            scale.set_value(2)
            wait("the value", lambda: scale.value == 2)
            close(app)
            for n in (3, 4):
                app.act(app.rows()[1], "Regenerate")
                wait("another version", lambda: app.rows()[1].reads(f"{n}/{n}"))
                app.answered()
            wait("three different answers", lambda: len(set(content(app))) == 3)

    def test_system_prompt_and_persona(self):
        # The model says nothing of it, but its tokens are counted.
        def prompt_tokens(app):
            return seed.rows(app.data, "SELECT prompt_tokens FROM message WHERE role = 1 "
                                       "ORDER BY id DESC LIMIT 1")[0][0]
        with Hearth(short()) as app:
            app.send("Go")
            app.answered()
            plain = prompt_tokens(app)
            window = preferences(app, "Personas")
            window.button("Add").press()
            editor = app.window("New Persona")
            editor.wait_for("Name", role=("text", "entry")).click()
            app.type("Clerk")
            editor.wait_for("System Prompt", role=("text", "entry")).set_text("Count all beans.")
            wait("a button to save", lambda: "sensitive" in editor.button("Save").states)
            editor.button("Save").press()
            window.wait_for("Clerk")
            close(app)
            app.button("New Conversation").press()
            wait("a new conversation", lambda: not app.rows())
            app.menu("Conversation Options")
            options = app.window("Conversation Options")
            choose(app, options.wait_for("Persona", role="list item"), 1)
            close(app)
            app.send("Go")
            app.answered()
            self.assertEqual(prompt_tokens(app) - plain, len("system\nCount all beans.\n") + 2)

    def test_colours(self):
        with Hearth(settings={"color-scheme": "dark"}, size=(800, 600)) as app:
            app.wait_for("Model ready")
            wait("dark", lambda: brightness() < 80)
            window = preferences(app)
            choose(app, window.wait_for("Style", role="list item"), 1)
            wait("light", lambda: brightness() > 180)
            close(app)
            wait("light", lambda: brightness() > 180)
            app.quit()
            self.assertEqual(app.setting("color-scheme"), "'light'")

    def test_gauges(self):
        with Hearth() as app:
            for name in ("DRAM", "Context"):
                app.wait_for(name, role="level bar")
            app.wait_for("Speed")
            before = app.find("No Conversations").extents[1]  # in the middle of the room
            window = preferences(app)
            window.wait_for("Gauges", role=("check box", "switch")).click()
            wait("the room that the gauges had", lambda: app.find(
                "No Conversations").extents[1] > before)
            close(app)


def brightness():
    """Of the middle of the screen."""
    return screen.take().brightness(400, 150, 300, 100)


if __name__ == "__main__":
    driver.main()
