"""Plants breaches of the layers in a small tree and expects each to be found, and nothing else."""

import contextlib
import io
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools"))
import check_layers  # noqa: E402

PAGE = """
```layers
include/sula :
src/base     : include/sula
src/ops      : src/base
src/a        : src/ops
src/b        : src/ops
cli          : include/sula
```
```confined
google/protobuf/ *.pb.h : src/a
```
"""

GOOD = {
    "include/sula/status.h": "#include <string>\n",
    "src/base/base.h": '#include "sula/status.h"\n',
    "src/ops/ops.h": '#include "base/base.h"\n#include <sula/status.h>\n',
    "src/ops/ops.cc": '#include "ops.h"\n#include <sys/mman.h>\n',
    "src/a/a.cc": '#include "ops/ops.h"\n#include "base/base.h"\n#include "x.pb.h"\n',
    "src/a/part/more.cc": '#include "a/a.h"\n#include <google/protobuf/message.h>\n',
    "src/a/a.h": "",
    "cli/main.cc": '#include "sula/status.h"\n',
}


class CheckLayersTest(unittest.TestCase):
    def check(self, extra, page=PAGE):
        """The exit code and the lines printed for GOOD with these files besides."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**GOOD, **extra, "docs/architecture.md": page}.items():
                path = os.path.join(root, path)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                code = check_layers.main([root])
            return code, printed.getvalue().splitlines()

    def expect_breach(self, path, text, expected):
        code, lines = self.check({path: text})
        self.assertEqual(code, 1)
        self.assertEqual(len(lines), 2, lines)
        self.assertTrue(lines[0].startswith(path), lines)
        self.assertIn(expected, lines[0])

    def test_a_good_tree_passes(self):
        code, lines = self.check({})
        self.assertEqual((code, len(lines)), (0, 1), lines)

    def test_upwards(self):
        self.expect_breach("src/base/up.cc", '\n#include "ops/ops.h"\n', ":2: src/base must not")

    def test_sideways(self):
        self.expect_breach("src/b/b.cc", '#include "a/a.h"\n', "src/b must not include a/a.h")

    def test_sideways_by_a_relative_path(self):
        self.expect_breach("src/b/b.cc", '  #  include "../a/a.h"\n', "must not include ../a/a.h")

    def test_inside_from_the_command_line(self):
        self.expect_breach("cli/x.cc", '#include "base/base.h"\n', "cli must not")

    def test_a_confined_header(self):
        self.expect_breach("src/b/b.cc", "#include <google/protobuf/message.h>\n", "src/a only")

    def test_a_generated_header(self):
        self.expect_breach("src/ops/more.cc", '#include "x.pb.h"\n', "src/a only")

    def test_a_missing_header(self):
        self.expect_breach("src/ops/more.cc", '#include "ops/none.h"\n', "no such header")

    def test_a_folder_that_the_table_lacks(self):
        self.expect_breach("src/new/x.cc", "", "not in the table")

    def test_a_cycle_in_the_table(self):
        code, lines = self.check({}, PAGE.replace("include/sula :", "include/sula : src/ops"))
        self.assertEqual(code, 1)
        self.assertIn("cycle", lines[0])

    def test_a_page_without_the_table(self):
        self.assertEqual(self.check({}, "# nothing\n")[0], 1)


if __name__ == "__main__":
    unittest.main()
