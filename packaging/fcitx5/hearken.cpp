// An addon of Fcitx 5 through which Hearken writes into the focused field.
//
// It serves one program at a time, the one that called Begin, and tells nobody else what stands in the field. An edit
// names the focus that it is meant for, so that none reaches another field.
#include <fcitx-utils/dbus/bus.h>
#include <fcitx-utils/dbus/message.h>
#include <fcitx-utils/dbus/objectvtable.h>
#include <fcitx-utils/dbus/servicewatcher.h>
#include <fcitx-utils/textformatflags.h>
#include <fcitx-utils/utf8.h>
#include <fcitx/addonfactory.h>
#include <fcitx/addoninstance.h>
#include <fcitx/addonmanager.h>
#include <fcitx/inputcontext.h>
#include <fcitx/inputpanel.h>
#include <fcitx/instance.h>
#include <fcitx/surroundingtext.h>

#include <Fcitx5/Module/fcitx-module/dbus/dbus_public.h>

#include <memory>
#include <string>
#include <vector>

using namespace fcitx;

class Hearken : public AddonInstance, public dbus::ObjectVTable<Hearken> {
public:
    explicit Hearken(Instance *instance)
        : instance_(instance), bus_(instance->addonManager().addon("dbus", true)->call<IDBusModule::bus>()),
          watcher_(*bus_) {
        bus_->addObjectVTable("/org/hearken/Fcitx1", "org.hearken.Fcitx1", *this);
        bus_->requestName("org.hearken.Fcitx1", Flags<dbus::RequestNameFlag>{dbus::RequestNameFlag::ReplaceExisting});
        on(EventType::InputContextFocusIn, [this](InputContext *field) { enter(field); });
        on(EventType::InputContextFocusOut, [this](InputContext *field) { leave(field); });
        on(EventType::InputContextDestroyed, [this](InputContext *field) { leave(field); });
        on(EventType::InputContextCapabilityChanged, [this](InputContext *field) {
            if (field == field_) {
                tellFocus();
            }
        });
        on(EventType::InputContextSurroundingTextUpdated, [this](InputContext *field) {
            if (field == field_) {
                tellSurrounding();
            }
        });
    }

    // Serves the caller until it calls End or leaves the bus; refuses if it serves another program.
    bool begin() {
        std::string sender = currentMessage()->sender();
        if (!owner_.empty() && owner_ != sender) {
            return false;
        }
        owner_ = sender;
        watch_ = watcher_.watchService(
            sender, [this](const std::string &name, const std::string &, const std::string &owner) {
                if (owner.empty() && name == owner_) {
                    finish();
                }
            });
        auto *field = instance_->lastFocusedInputContext();
        if (field && field->hasFocus()) {
            enter(field);
        } else {
            tellFocus();
        }
        return true;
    }

    void end() {
        if (isOwner()) {
            finish();
        }
    }

    bool commit(uint32_t focus, const std::string &text) {
        if (!isFor(focus)) {
            return false;
        }
        show("");
        field_->commitString(text);
        return true;
    }

    bool preedit(uint32_t focus, const std::string &text) {
        if (!isFor(focus)) {
            return false;
        }
        show(text);
        return true;
    }

    // Deletes characters before the cursor.
    bool erase(uint32_t focus, uint32_t count) {
        if (!isFor(focus) || !field_->capabilityFlags().test(CapabilityFlag::SurroundingText)) {
            return false;
        }
        field_->deleteSurroundingText(-static_cast<int>(count), count);
        return true;
    }

private:
    template <typename Then>
    void on(EventType type, Then then) {
        handlers_.push_back(instance_->watchEvent(type, EventWatcherPhase::Default, [then](Event &event) {
            then(static_cast<InputContextEvent &>(event).inputContext());
        }));
    }

    bool isOwner() { return !owner_.empty() && currentMessage()->sender() == owner_; }

    bool isFor(uint32_t focus) { return isOwner() && field_ && focus == focus_; }

    void enter(InputContext *field) {
        field_ = field;
        shown_ = false;
        ++focus_;
        tellFocus();
        tellSurrounding();
    }

    void leave(InputContext *field) {
        if (field != field_) {
            return;
        }
        show("");
        field_ = nullptr;
        tellFocus();
    }

    void finish() {
        show("");
        owner_.clear();
    }

    void show(const std::string &text) {
        if (!field_ || (text.empty() && !shown_)) {
            return;
        }
        Text shown;
        if (!text.empty()) {
            // Without DontCommit, GTK keeps it as text when the focus leaves.
            shown.append(text, TextFormatFlags{TextFormatFlag::Underline, TextFormatFlag::DontCommit});
            shown.setCursor(text.size());
        }
        if (field_->capabilityFlags().test(CapabilityFlag::Preedit)) {
            field_->inputPanel().setClientPreedit(shown);
            field_->updatePreedit();
        } else {
            field_->inputPanel().setPreedit(shown);
        }
        field_->updateUserInterface(UserInterfaceComponent::InputPanel);
        shown_ = !text.empty();
    }

    void tellFocus() {
        if (owner_.empty()) {
            return;
        }
        if (!field_) {
            focusTo(owner_, 0U, "", "", 0UL);
            return;
        }
        std::string name;
        for (uint8_t byte : field_->uuid()) {
            const char *digits = "0123456789abcdef";
            name += digits[byte >> 4];
            name += digits[byte & 15];
        }
        focusTo(owner_, focus_, name, field_->program(), field_->capabilityFlags().toInteger());
    }

    void tellSurrounding() {
        // A password is nobody's business.
        if (owner_.empty() || !field_ || field_->capabilityFlags().test(CapabilityFlag::Password)) {
            return;
        }
        const auto &surrounding = field_->surroundingText();
        if (surrounding.isValid()) {
            surroundingTo(owner_, focus_, surrounding.text(), surrounding.cursor());
        }
    }

    FCITX_OBJECT_VTABLE_METHOD(begin, "Begin", "", "b");
    FCITX_OBJECT_VTABLE_METHOD(end, "End", "", "");
    FCITX_OBJECT_VTABLE_METHOD(commit, "Commit", "us", "b");
    FCITX_OBJECT_VTABLE_METHOD(preedit, "Preedit", "us", "b");
    FCITX_OBJECT_VTABLE_METHOD(erase, "Erase", "uu", "b");
    // Number, name, program and capabilities of the focused field; all zero or empty without one.
    FCITX_OBJECT_VTABLE_SIGNAL(focus, "Focus", "usst");
    // Text around the cursor, and the cursor's place in characters.
    FCITX_OBJECT_VTABLE_SIGNAL(surrounding, "Surrounding", "usu");

    Instance *instance_;
    dbus::Bus *bus_;
    dbus::ServiceWatcher watcher_;
    std::unique_ptr<dbus::ServiceWatcherEntry> watch_;
    // Unique name of the program that is served.
    std::string owner_;
    InputContext *field_ = nullptr;
    uint32_t focus_ = 0;
    bool shown_ = false;
    std::vector<std::unique_ptr<HandlerTableEntry<EventHandler>>> handlers_;
};

class Factory : public AddonFactory {
    AddonInstance *create(AddonManager *manager) override { return new Hearken(manager->instance()); }
};

FCITX_ADDON_FACTORY(Factory)
