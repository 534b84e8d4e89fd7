//! Pickle as data: the opcodes and the few names that PyTorch's checkpoints use, and nothing else.
//! No name is looked up anywhere and nothing is called; an unknown opcode or name is an error with
//! its offset.
//!
//! Values live in one list and refer to each other by index, so deep nesting and loops in the input
//! are harmless.

use std::collections::HashMap;

use safetensors::Dtype;

use crate::models::error::Defect;

use super::bytes::Bytes;

/// Maximum length of a pickle in bytes; those of Whisper's checkpoints have less than a megabyte.
const MAX_PICKLE: usize = 1 << 24;

/// Maximum number of arguments of a call and of axes of a tensor; real ones have 7 and 3.
const MAX_ITEMS: usize = 16;

/// Index of a value in the list.
pub(crate) type Id = usize;

/// A value.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    /// `None`, a boolean, a float, or an irrelevant object.
    Other,
    /// An integer.
    Int(i64),
    /// A string.
    Text(&'a str),
    /// A tuple or list.
    List(Vec<Id>),
    /// A dictionary, ordered or not.
    Dict(Vec<(Id, Id)>),
    /// One of the allowed names.
    Name(Name),
    /// Bytes of a tensor, elsewhere in the archive.
    Storage(Storage<'a>),
    /// A tensor.
    Tensor(TensorRef<'a>),
}

/// An allowed name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

/// A storage: the archive's entry `data/KEY`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Storage<'a> {
    pub(crate) key: &'a str,
    pub(crate) dtype: Dtype,
}

/// A view of a storage.
#[derive(Debug, Clone)]
pub(crate) struct TensorRef<'a> {
    pub(crate) storage: Storage<'a>,
    /// Offset from the start of the storage, in values.
    pub(crate) offset: usize,
    /// Dimensions, outermost first.
    pub(crate) shape: Vec<usize>,
    /// Distance from one index to the next for each dimension, in values.
    pub(crate) stride: Vec<usize>,
}

/// A parsed pickle.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// The value that was pickled.
    pub(crate) fn root(&self) -> &Node<'a> {
        self.node(self.root)
    }

    /// The value `id`.
    pub(crate) fn node(&self, id: Id) -> &Node<'a> {
        self.nodes.get(id).unwrap_or(&Node::Other)
    }

    /// The value under the text `key` of a dictionary.
    pub(crate) fn entry(&self, dict: &Node<'a>, key: &str) -> Option<&Node<'a>> {
        let Node::Dict(entries) = dict else {
            return None;
        };
        let found = entries
            .iter()
            .find(|&&(k, _)| matches!(self.node(k), Node::Text(text) if *text == key))?;
        Some(self.node(found.1))
    }
}

/// Parses a pickle of protocol 2 to 5.
///
/// # Errors
/// Returns an error if it is truncated, inconsistent, or holds anything but the plain data of a
/// checkpoint.
pub(crate) fn parse(pickle: &[u8]) -> Result<Pickle<'_>, Defect> {
    if pickle.len() > MAX_PICKLE {
        return Err(Defect::new(format!(
            "{} bytes are too many for a checkpoint's pickle",
            pickle.len()
        )));
    }
    let mut machine = Machine {
        bytes: Bytes::new(pickle),
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let offset = machine.bytes.offset();
        let [opcode] = machine.bytes.array("an opcode")?;
        let step = machine.step(opcode);
        match step
            .map_err(|e| Defect::new(format!("opcode 0x{opcode:02x} at offset {offset}: {e}")))?
        {
            Some(root) => {
                return Ok(Pickle {
                    nodes: machine.nodes,
                    root,
                });
            }
            None => continue,
        }
    }
}

/// The stack machine that a pickle is a program for.
struct Machine<'a> {
    bytes: Bytes<'a>,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at which MARK was executed.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// Executes one opcode (names and codes are those of Python's `pickle.py`). Returns the result
    /// at STOP.
    fn step(&mut self, opcode: u8) -> Result<Option<Id>, Defect> {
        match opcode {
            b'.' => return self.pop().map(Some),                      // STOP
            0x80 => drop(self.bytes.array::<1>("the protocol")?),     // PROTO
            0x95 => drop(self.bytes.array::<8>("a frame's length")?), // FRAME
            b'(' => self.marks.push(self.stack.len()),                // MARK
            b'N' | 0x88 | 0x89 => self.push(Node::Other),             // NONE, NEWTRUE, NEWFALSE
            b'G' => {
                // BINFLOAT
                self.bytes.array::<8>("a float")?;
                self.push(Node::Other);
            }
            b'K' | b'M' | b'J' | 0x8a => self.integer(opcode)?,
            b'X' | 0x8c => self.text(opcode)?,
            b'}' => self.push(Node::Dict(Vec::new())), // EMPTY_DICT
            b']' | b')' => self.push(Node::List(Vec::new())), // EMPTY_LIST, EMPTY_TUPLE
            0x85..=0x87 => self.tuple(usize::from(opcode - 0x84))?, // TUPLE1, TUPLE2, TUPLE3
            b't' => {
                // TUPLE
                let items = self.pop_to_mark()?;
                self.push(Node::List(items));
            }
            b'a' | b'e' => self.append(opcode)?,
            b's' | b'u' => self.set_items(opcode)?,
            b'q' | b'r' | 0x94 => self.memoize(opcode)?,
            b'h' | b'j' => self.recall(opcode)?,
            b'c' | 0x93 => self.global(opcode)?,
            b'Q' => self.persistent()?, // BINPERSID
            b'R' => self.reduce()?,     // REDUCE
            b'b' => {
                // BUILD: a state dict's version numbers
                self.pop()?;
            }
            _ => {
                return Err(Defect::new(
                    "checkpoints do not use this opcode; nothing was executed",
                ));
            }
        }
        Ok(None)
    }

    fn push(&mut self, node: Node<'a>) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    fn pop(&mut self) -> Result<Id, Defect> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let above_mark = self.stack.len() > floor;
        self.stack
            .pop()
            .filter(|_| above_mark)
            .ok_or_else(|| Defect::new("the stack is empty"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Defect> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        mark.map(|mark| self.stack.split_off(mark))
            .ok_or_else(|| Defect::new("no mark is on the stack"))
    }

    fn top(&mut self) -> Result<&mut Node<'a>, Defect> {
        let top = self.stack.last().and_then(|&id| self.nodes.get_mut(id));
        top.ok_or_else(|| Defect::new("the stack is empty"))
    }

    /// BININT1, BININT2, BININT, LONG1.
    fn integer(&mut self, opcode: u8) -> Result<(), Defect> {
        let value = match opcode {
            b'K' => i64::from(u8::from_le_bytes(self.bytes.array("an integer")?)),
            b'M' => i64::from(u16::from_le_bytes(self.bytes.array("an integer")?)),
            b'J' => i64::from(i32::from_le_bytes(self.bytes.array("an integer")?)),
            _ => {
                let [length] = self.bytes.array("an integer's length")?;
                let digits = self.bytes.take(length.into(), "an integer")?;
                little_endian(digits)
                    .ok_or_else(|| Defect::new(format!("an integer of {length} bytes")))?
            }
        };
        self.push(Node::Int(value));
        Ok(())
    }

    /// BINUNICODE, SHORT_BINUNICODE.
    fn text(&mut self, opcode: u8) -> Result<(), Defect> {
        let length = match opcode {
            b'X' => self.bytes.length("a string's length")?,
            _ => usize::from(u8::from_le_bytes(self.bytes.array("a string's length")?)),
        };
        let text = std::str::from_utf8(self.bytes.take(length, "a string")?);
        self.push(Node::Text(
            text.map_err(|e| Defect::new(format!("a string: {e}")))?,
        ));
        Ok(())
    }

    fn tuple(&mut self, n: usize) -> Result<(), Defect> {
        let mut items = Vec::with_capacity(n);
        for _ in 0..n {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Node::List(items));
        Ok(())
    }

    /// APPEND, APPENDS.
    fn append(&mut self, opcode: u8) -> Result<(), Defect> {
        let items = if opcode == b'a' {
            vec![self.pop()?]
        } else {
            self.pop_to_mark()?
        };
        match self.top()? {
            Node::List(list) => list.extend(items),
            _ => {
                return Err(Defect::new(
                    "items are appended to a value that is not a list",
                ));
            }
        }
        Ok(())
    }

    /// SETITEM, SETITEMS.
    fn set_items(&mut self, opcode: u8) -> Result<(), Defect> {
        let items = if opcode == b's' {
            let value = self.pop()?;
            vec![self.pop()?, value]
        } else {
            self.pop_to_mark()?
        };
        let (pairs, rest) = items.as_chunks::<2>();
        match self.top()? {
            Node::Dict(dict) if rest.is_empty() => {
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)))
            }
            _ => {
                return Err(Defect::new(
                    "items are set in a value that is not a dictionary",
                ));
            }
        }
        Ok(())
    }

    /// BINPUT, LONG_BINPUT, MEMOIZE.
    fn memoize(&mut self, opcode: u8) -> Result<(), Defect> {
        let key = match opcode {
            b'q' => u32::from(u8::from_le_bytes(self.bytes.array("a memo's number")?)),
            b'r' => self.bytes.u32("a memo's number")?,
            _ => self.memo.len() as u32,
        };
        let top = self.stack.last().copied();
        self.memo
            .insert(key, top.ok_or_else(|| Defect::new("the stack is empty"))?);
        Ok(())
    }

    /// BINGET, LONG_BINGET.
    fn recall(&mut self, opcode: u8) -> Result<(), Defect> {
        let key = match opcode {
            b'h' => u32::from(u8::from_le_bytes(self.bytes.array("a memo's number")?)),
            _ => self.bytes.u32("a memo's number")?,
        };
        let id = self.memo.get(&key).copied();
        self.stack
            .push(id.ok_or_else(|| Defect::new(format!("memo {key} was never set")))?);
        Ok(())
    }

    /// GLOBAL, STACK_GLOBAL.
    fn global(&mut self, opcode: u8) -> Result<(), Defect> {
        let (module, name) = if opcode == b'c' {
            (self.line()?, self.line()?)
        } else {
            let name = self.pop()?;
            let module = self.pop()?;
            match (self.nodes.get(module), self.nodes.get(name)) {
                (Some(&Node::Text(module)), Some(&Node::Text(name))) => (module, name),
                _ => return Err(Defect::new("a name is not a string")),
            }
        };
        let allowed = allowed(module, name).ok_or_else(|| {
            Defect::new(format!(
                "checkpoints do not use the name {module}.{name}; nothing was executed"
            ))
        })?;
        self.push(Node::Name(allowed));
        Ok(())
    }

    /// Text up to the end of the line.
    fn line(&mut self) -> Result<&'a str, Defect> {
        let mut ahead = self.bytes.clone();
        let mut length = 0;
        while ahead.array("a name")? != [b'\n'] {
            length += 1;
        }
        let text = self.bytes.take(length, "a name")?;
        self.bytes = ahead;
        std::str::from_utf8(text).map_err(|e| Defect::new(format!("a name: {e}")))
    }

    /// A persistent id: `("storage", type, key, device, length)`.
    fn persistent(&mut self) -> Result<(), Defect> {
        let id = self.pop()?;
        let items = self.list(id)?;
        let node = |i: usize| items.get(i).and_then(|&id| self.nodes.get(id));
        let storage = match (node(0), node(1), node(2)) {
            (
                Some(Node::Text("storage")),
                Some(&Node::Name(Name::Storage(dtype))),
                Some(&Node::Text(key)),
            ) => Storage { key, dtype },
            _ => return Err(Defect::new("a persistent id is not a storage")),
        };
        self.push(Node::Storage(storage));
        Ok(())
    }

    /// Builds what calling an allowed name would return.
    fn reduce(&mut self) -> Result<(), Defect> {
        let arguments = self.pop()?;
        let arguments = self.list(arguments)?.to_vec();
        let callee = self.pop()?;
        let node = match self.nodes.get(callee) {
            Some(Node::Name(Name::OrderedDict)) if arguments.is_empty() => Node::Dict(Vec::new()),
            Some(Node::Name(Name::RebuildTensor)) => Node::Tensor(self.tensor(&arguments)?),
            Some(Node::Name(Name::RebuildParameter)) => {
                match arguments.first().and_then(|&id| self.nodes.get(id)) {
                    Some(Node::Tensor(tensor)) => Node::Tensor(tensor.clone()),
                    _ => return Err(Defect::new("a parameter without a tensor")),
                }
            }
            _ => return Err(Defect::new("a value that is not a function is called")),
        };
        self.push(node);
        Ok(())
    }

    /// Arguments of `_rebuild_tensor_v2`: storage, offset, shape, stride, …
    fn tensor(&self, arguments: &[Id]) -> Result<TensorRef<'a>, Defect> {
        let &[storage, offset, shape, stride, ..] = arguments else {
            return Err(Defect::new(format!(
                "a tensor with {} arguments",
                arguments.len()
            )));
        };
        let Some(&Node::Storage(storage)) = self.nodes.get(storage) else {
            return Err(Defect::new("a tensor without a storage"));
        };
        let sizes = |id: Id| {
            self.list(id)?
                .iter()
                .map(|&id| self.size(id))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(TensorRef {
            storage,
            offset: self.size(offset)?,
            shape: sizes(shape)?,
            stride: sizes(stride)?,
        })
    }

    /// Items of a short tuple.
    fn list(&self, id: Id) -> Result<&[Id], Defect> {
        match self.nodes.get(id) {
            Some(Node::List(items)) if items.len() <= MAX_ITEMS => Ok(items),
            Some(Node::List(items)) => {
                Err(Defect::new(format!("a tuple of {} items", items.len())))
            }
            _ => Err(Defect::new("a tuple is missing")),
        }
    }

    fn size(&self, id: Id) -> Result<usize, Defect> {
        match self.nodes.get(id) {
            Some(&Node::Int(n)) => {
                usize::try_from(n).map_err(|_| Defect::new(format!("a size of {n}")))
            }
            _ => Err(Defect::new("a size is not an integer")),
        }
    }
}

/// Names that PyTorch writes into a checkpoint of plain tensors.
fn allowed(module: &str, name: &str) -> Option<Name> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Name::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Name::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Name::RebuildParameter,
        ("torch", "HalfStorage") => Name::Storage(Dtype::F16),
        ("torch", "FloatStorage") => Name::Storage(Dtype::F32),
        ("torch", "BFloat16Storage") => Name::Storage(Dtype::BF16),
        ("torch", "DoubleStorage") => Name::Storage(Dtype::F64),
        ("torch", "LongStorage") => Name::Storage(Dtype::I64),
        ("torch", "IntStorage") => Name::Storage(Dtype::I32),
        ("torch", "BoolStorage") => Name::Storage(Dtype::BOOL),
        _ => return None,
    })
}

/// A two's complement integer of up to 8 bytes.
fn little_endian(digits: &[u8]) -> Option<i64> {
    let negative = digits.last().is_some_and(|&b| b & 0x80 != 0);
    let mut bytes = if negative { [0xff; 8] } else { [0; 8] };
    bytes.get_mut(..digits.len())?.copy_from_slice(digits);
    Some(i64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defect(pickle: &[u8]) -> String {
        parse(pickle).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_dictionary_is_read() {
        // pickle.dumps({"dims": {"n": 1500, "m": -1, "l": 2**40}, "x": [True, None, 1.5]},
        // protocol=2)
        let pickle = b"\x80\x02}q\x00(X\x04\x00\x00\x00dimsq\x01}q\x02(X\x01\x00\x00\x00nq\x03M\xdc\x05X\x01\x00\x00\x00\
            mq\x04J\xff\xff\xff\xffX\x01\x00\x00\x00lq\x05\x8a\x06\x00\x00\x00\x00\x00\x01uX\x01\x00\x00\x00xq\x06]q\x07\
            (\x88NG?\xf8\x00\x00\x00\x00\x00\x00eu.";
        let pickle = parse(pickle).unwrap();
        let dims = pickle.entry(pickle.root(), "dims").unwrap();
        for (key, value) in [("n", 1500), ("m", -1), ("l", 1 << 40)] {
            assert!(
                matches!(pickle.entry(dims, key), Some(Node::Int(n)) if *n == value),
                "{key}"
            );
        }
        assert!(
            matches!(pickle.entry(pickle.root(), "x"), Some(Node::List(items)) if items.len() == 3)
        );
    }

    #[test]
    fn names_outside_the_list_are_refused() {
        // pickle.dumps(os.system, protocol=2), called with "id".
        let defect =
            defect(b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.");
        assert!(
            defect
                .contains("opcode 0x63 at offset 2: checkpoints do not use the name posix.system"),
            "{defect}"
        );
        assert!(defect.contains("nothing was executed"), "{defect}");
    }

    #[test]
    fn malformed_programs_are_errors() {
        for (pickle, expected) in [
            (b"\x80\x02".as_slice(), "an opcode at offset 2"),
            (b"I1\n.", "opcode 0x49 at offset 0"),
            (b".", "the stack is empty"),
            (b"}t.", "no mark"),
            (b"(}(a.", "the stack is empty"),
            (b"h\x05.", "memo 5 was never set"),
            (b"N(K\x01K\x02u.", "not a dictionary"),
            (b"X\xff\xff\xff\xffab", "takes 4294967295 bytes"),
            (b"))R.", "not a function"),
        ] {
            let defect = defect(pickle);
            assert!(defect.contains(expected), "{defect:?} without {expected:?}");
        }
    }

    #[test]
    fn deep_nesting_and_loops_are_harmless() {
        let mut nested = b")".to_vec();
        nested.resize(1_000_000, 0x85);
        nested.push(b'.');
        parse(&nested).unwrap();
        // A list that contains itself.
        parse(b"]q\x00h\x00a.").unwrap();
    }
}
