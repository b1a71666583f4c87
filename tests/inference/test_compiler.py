"""Whether a model can be compiled is known before its first call."""

import pytest
import torch

from ahs_seg.inference.compiler import CompilerError, check_compiler


def test_a_cpu_needs_a_compiler_and_a_gpu_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    asked: list[str] = []
    monkeypatch.setattr("shutil.which", lambda name: asked.append(name))
    with pytest.raises(CompilerError, match=r"this machine has none \(g\+\+, clang\+\+, c\+\+, cl\); install g\+\+"):
        check_compiler(torch.device("cpu"))
    assert asked == ["g++", "clang++", "c++", "cl"]
    check_compiler(torch.device("cuda"))
    monkeypatch.setattr("shutil.which", lambda name: "/bin/c++" if name == "c++" else None)
    check_compiler(torch.device("cpu"))
    monkeypatch.setenv("CXX", "mine++")
    with pytest.raises(CompilerError, match=r"has none \(mine\+\+\)"):
        check_compiler(torch.device("cpu"))
