"""Opening models: files that are right, wrong, gone; by argument, from a second start, by dialog,
from the menu."""
import os
import shutil

import driver
import gguf_file
import reciter
import seed
from driver import Case, Hearth, wait
from test_asking import short


def model_name(app):
    """What the model button says."""
    return " ".join(app.wait_for("Model", role=("button", "toggle")).texts())


def ready(app, words):
    wait(f"the model {words}", lambda: words in model_name(app) and app.find("Model ready"))


class Opening(Case):
    def test_the_built_in_one_first(self):
        with Hearth() as app:
            ready(app, "Ember")

    def test_by_argument_and_remembered(self):
        path = driver.file("some.gguf")
        shutil.copy(driver.EMBER, path)
        with Hearth(path) as app:
            ready(app, "Ember")
            app.send("What is Hearth?")
            app.answered()
            self.assertGreater(len(app.rows()[1].name), len("Answer: ") + 10)
            app.quit()
            self.assertEqual(app.setting("last-model"), f"'{path}'")
            app.args = ()
            app.start()
            ready(app, "Ember")
            app.quit()
            self.assertEqual(app.setting("loading-model") or "''", "''")

    def test_from_a_second_start(self):
        with Hearth() as app:
            ready(app, "Ember")
            second = app.spawn(short(), stdout=app.log, stderr=app.log)
            self.assertEqual(second.wait(driver.SLOW), 0)
            ready(app, "Short")
            app.send("Hi")
            app.answered()
            self.assertEqual(app.rows()[1].name, "Answer: Fire is hot, and a hearth keeps it.")

    def test_by_dialog(self):
        with Hearth() as app:
            app.key("ctrl+o")
            app.choose_file("Open a Model File", short())
            ready(app, "Short")

    def test_from_the_menu(self):
        with Hearth(short()) as app:
            ready(app, "Short")
            app.button("Model").press()
            rows = app.wait_for("Models", role=("list", "list box"))
            self.assertTrue(any("Ember" in text for text in rows.texts()), rows.texts())
            rows.wait_for(driver.re.compile("^Ember"), role="list item")
            app.key("Escape")


class Wrong(Case):
    def refused(self, path, *words):
        """The file is refused with a sentence; the program goes on with the built-in model."""
        with Hearth(path) as app:
            app.wait_for("The model could not be loaded")
            app.send("What is Hearth?")
            wait("a failed answer", lambda: seed.rows(
                app.data, "SELECT state FROM message WHERE role = 1") == [(seed.FAILED,)])
            app.rows()[1].wait_to_read(words[0])
            app.button("Model").press()
            app.wait_for("Models", role=("list", "list box"))
            for word in words:
                app.wait_to_read(word)
            app.wait_for("Models", role=("list", "list box")).wait_for(
                driver.re.compile("^Ember"), role="list item")
            self.choose(app, "Ember")
            ready(app, "Ember")
            app.act(app.rows()[1], "Retry")
            app.answered()
            wait("an answer", lambda: seed.rows(
                app.data, "SELECT state FROM message WHERE role = 1") == [(seed.DONE,)])
            app.quit()
            self.assertNotEqual(app.setting("last-model"), f"'{path}'")

    def choose(self, app, name):
        """By keyboard: Tab until the row has the focus."""
        for _ in range(12):
            focused = wait("a focus", app.focused)
            if focused.role == "list item" and focused.name.startswith(name):
                break
            app.key("Down" if focused.role == "list item" else "Tab")
            wait("another focus", lambda: app.focused() != focused)
        app.key("Return")

    def test_garbage(self):
        path = driver.file("garbage.gguf")
        with open(path, "wb") as file:
            file.write(os.urandom(100000))
        self.refused(path, "GGUF")

    def test_cut_off(self):
        path = driver.file("cut.gguf")
        with open(driver.EMBER, "rb") as file, open(path, "wb") as out:
            out.write(file.read(3000000))
        self.refused(path, "cut short")

    def test_not_there(self):
        self.refused(driver.file("nowhere.gguf"), "nowhere.gguf")

    def test_no_vocabulary(self):
        path = driver.file("mute.gguf")
        metadata = {key: value for key, value in gguf_file.llama_metadata().items()
                    if not key.startswith("tokenizer.")}
        with open(path, "wb") as file:
            file.write(gguf_file.build(metadata, gguf_file.llama_tensors()))
        with Hearth(path) as app:
            app.send("Hello")
            wait("a failed answer", lambda: seed.rows(
                app.data, "SELECT state FROM message WHERE role = 1") == [(seed.FAILED,)])
            app.rows()[1].wait_to_read("vocabulary")

    def test_gone_at_the_next_start(self):
        path = reciter.write(driver.file("gone.gguf"), "Soon I am gone.", name="Gone")
        with Hearth(path) as app:
            ready(app, "Gone")
            app.quit()
            os.remove(path)
            app.args = ()
            app.start()
            app.wait_for("The model could not be loaded")

    def test_ended_while_loading(self):
        path = short()
        with Hearth(settings={"loading-model": path, "last-model": path}) as app:
            app.wait_for(driver.re.compile("ended while it was loading short.gguf"))
            ready(app, "Ember")
            app.button("Dismiss").press()


if __name__ == "__main__":
    driver.main()
