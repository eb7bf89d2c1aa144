"""The raw runs of a suite, one line of JSON each, so that a run that was interrupted goes on where it was.

The first line says what the plan and the binaries were. Other plan or other binaries, or a last line that says
finished: the file begins anew. Each line is flushed before the next run starts."""
import hashlib
import json
import os


def fingerprint(paths, *words):
    h = hashlib.sha256("\0".join(map(str, words)).encode())
    for path in sorted(set(paths)):
        try:
            with open(path, "rb") as f:
                h.update(f.read())
        except OSError:
            h.update(b"missing " + path.encode())
    return h.hexdigest()[:16]


class Records:
    def __init__(self, path, key, fresh=False):
        self.path, self.runs, self.resumed, self.seconds = path, {}, False, 0.0
        lines = []
        if not fresh and os.path.exists(path):
            with open(path) as f:
                for line in f:
                    try:
                        lines.append(json.loads(line))
                    except ValueError:
                        break  # the line that was being written
        if lines and lines[0].get("key") == key and not lines[-1].get("finished"):
            for line in lines[1:]:
                self.runs[line["id"], line["round"]] = line
                self.seconds += line.get("took_s", 0)
            self.resumed = len(self.runs) > 0
            # Without what was cut off.
            with open(path, "w") as f:
                f.writelines(json.dumps(line) + "\n" for line in lines)
        else:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            with open(path, "w") as f:
                f.write(json.dumps({"key": key}) + "\n")
        self.file = open(path, "a")

    def get(self, id, round):
        return self.runs.get((id, round))

    def add(self, id, round, run):
        line = dict(run, id=id, round=round)
        self.runs[id, round] = line
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def of(self, id):
        return [run for (i, _), run in sorted(self.runs.items(), key=lambda item: str(item[0][1]).zfill(6)) if i == id]

    def finish(self):
        self.file.write('{"finished": true}\n')
        self.file.close()
