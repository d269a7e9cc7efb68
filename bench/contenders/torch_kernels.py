"""PyTorch's CPU kernels for the benchmark, driven over standard input and output.

A request is one line of JSON, some followed by raw float32 data; so is an answer. The kernels are called directly where
PyTorch names them, which spares the cost of its tape; otherwise through autograd.
"""

import ctypes
import json
import os
import sys
import time

import torch

EPS = 1e-5
MOMENTUM = 0.1
aten = torch.ops.aten
requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
tensors = {}
prepared = {}


def answer(value, payload=()):
    answers.write(json.dumps(value).encode() + b"\n")
    for tensor in payload:
        answers.write(ctypes.string_at(tensor.data_ptr(), 4 * tensor.numel()))
    answers.flush()


def put(key, shape, layout):
    size = 4
    for n in shape:
        size *= n
    data = bytearray(size)
    view = memoryview(data)
    while view:
        view = view[requests.readinto(view):]
    tensor = torch.frombuffer(data, dtype=torch.float32).reshape(shape)
    tensors[key] = logical(tensor) if layout == "last" else tensor


def logical(tensor):
    """Channels-last memory as PyTorch has it: the usual shape with other strides."""
    return tensor.movedim(-1, 1)


def forward_of(case):
    """A function of x, weight, bias, mean and variance to y and what backward needs."""
    op, training, groups = case["op"], case["training"], case["groups"]

    def batch_norm(x, w, b, mean, var):
        y, *saved = torch.native_batch_norm(x, w, b, mean, var, training, MOMENTUM, EPS)
        return y, saved

    def layer_norm(x, w, b, *_):
        y, *saved = torch.native_layer_norm(x, x.shape[-1:], w, b, EPS)
        return y, saved

    def group_norm(x, w, b, *_):
        n, c = x.shape[:2]
        y, *saved = torch.native_group_norm(x, w, b, n, c, x[0, 0].numel(), groups, EPS)
        return y, saved

    def instance_norm(x, w, b, *_):
        return torch.nn.functional.instance_norm(x, weight=w, bias=b, eps=EPS), None

    def rms_norm(x, w, *_):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * w, None

    return locals()[op]


def backward_of(case):
    """The same for the gradients of x, weight and bias, given dy, or nothing where PyTorch names no kernel."""
    op, training, groups = case["op"], case["training"], case["groups"]
    mask = [name in case["wrt"] for name in ("x", "weight", "bias")]

    def batch_norm(dy, saved, x, w, b, mean, var):
        return aten.native_batch_norm_backward(dy, x, w, mean, var, *saved, training, EPS, mask)

    def layer_norm(dy, saved, x, w, b, *_):
        return aten.native_layer_norm_backward(dy, x, x.shape[-1:], *saved, w, b, mask)

    def group_norm(dy, saved, x, w, b, *_):
        n, c = x.shape[:2]
        return aten.native_group_norm_backward(dy, x, *saved, w, n, c, x[0, 0].numel(), groups, mask)

    return locals().get(op)


class Prepared:
    def __init__(self, case, threads, sets):
        self.case, self.threads, self.calls = case, threads, 0
        names = ["x", "weight", "bias", "running_mean", "running_var"]
        self.sets = [[tensors[keys[name]].clone(memory_format=torch.preserve_format) for name in names] for keys in sets]
        self.dys = [tensors[keys["dy"]] for keys in sets]
        self.vs = [[tensors[keys[name]] for name in ("v_x", "v_weight", "v_bias") if name in keys] for keys in sets]
        self.forward, self.backward = forward_of(case), backward_of(case)
        self.wrt = [i for i, name in enumerate(("x", "weight", "bias")) if name in case["wrt"]]
        self.by_tape = case["task"] != "forward" and (case["task"] == "double backward" or not self.backward)
        if self.by_tape:
            for inputs in self.sets:
                for i in self.wrt:
                    inputs[i].requires_grad_()
            for dy in self.dys:
                dy.requires_grad_(case["task"] == "double backward")
        torch.set_num_threads(threads)
        self.kept = [self.first(i) for i in range(len(sets))] if "backward" in case["task"] else None

    def first(self, i):
        """What backward alone starts from."""
        if self.case["task"] != "double backward":
            return self.forward(*self.sets[i])
        x, w, b, mean, var = self.sets[i]
        y = torch.nn.functional.batch_norm(x, mean, var, w, b, self.case["training"], MOMENTUM, EPS)
        return torch.autograd.grad(y, (x, w, b), self.dys[i], create_graph=True)

    def gradients(self, i, y, saved):
        inputs, dy = self.sets[i], self.dys[i]
        if not self.by_tape:
            found = self.backward(dy, saved, *inputs)
            return [found[k] for k in self.wrt]
        return torch.autograd.grad(y, [inputs[k] for k in self.wrt], dy, retain_graph=self.kept is not None)

    def call(self, i):
        task = self.case["task"]
        i %= len(self.sets)
        if task == "forward":
            return [self.forward(*self.sets[i])[0]]
        if task == "backward":
            return self.gradients(i, *self.kept[i])
        if task == "step":
            y, saved = self.forward(*self.sets[i])
            return [y, *self.gradients(i, y, saved)]
        x, w = self.sets[i][:2]
        return torch.autograd.grad(self.kept[i], (self.dys[i], x, w), self.vs[i], retain_graph=True)

    def results(self):
        torch.set_num_threads(self.threads)
        gradients = ["d" + ("x", "weight", "bias")[k] for k in self.wrt]
        task = self.case["task"]
        names = {"forward": ["y"], "backward": gradients, "step": ["y", *gradients]}.get(task, ["grad_y", "x", "weight"])
        found = dict(zip(names, self.call(0)))
        if self.case["op"] == "batch_norm" and self.case["training"] and task in ("forward", "step"):
            found["running_mean"], found["running_var"] = self.sets[0][3:]
        return {name: self.flat(tensor.detach()) for name, tensor in found.items()}

    def flat(self, tensor):
        last = self.case["layout"] == "last" and tensor.dim() > 1
        return (tensor.movedim(1, -1) if last else tensor).contiguous()

    def time(self, count):
        torch.set_num_threads(self.threads)
        start = time.perf_counter()
        for _ in range(count):
            self.call(self.calls)
            self.calls += 1
        elapsed = time.perf_counter() - start
        time.sleep(0.003)  # its idle threads spin for a while, and others are to be timed next
        return 1000 * elapsed


def handle(request):
    command = request["command"]
    if command == "version":
        answer({"version": torch.__version__})
    elif command == "put":
        put(request["key"], request["shape"], request["layout"])
        answer({})
    elif command == "forget":
        tensors.clear()
        answer({})
    elif command == "prepare":
        prepared[request["id"]] = Prepared(request["case"], request["threads"], request["sets"])
        answer({})
    elif command == "results":
        found = prepared[request["id"]].results()
        answer({"results": [[name, tensor.numel()] for name, tensor in found.items()]}, found.values())
    elif command == "time":
        answer({"ms": prepared[request["id"]].time(request["count"])})
    elif command == "dispose":
        del prepared[request["id"]]
        answer({})


while line := requests.readline():
    try:
        handle(json.loads(line))
    except Exception as error:  # the benchmark says so in its report
        answer({"error": str(error).split("\n")[0]})
