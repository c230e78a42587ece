//! Every word that a student reads, in both languages.

/// A language of the player's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Russian,
}

impl Language {
    /// By the variables that POSIX gives the language of messages, the strongest first.
    pub(crate) fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()));
        match locale {
            Some(locale) if locale.starts_with("ru") => Self::Russian,
            _ => Self::English,
        }
    }
}

/// A line on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Line {
    NoLesson,
    NoBox,
    NotEnrolled,
    NotLetIn,
    AgentTooOld,
    BoxTooOld,
    Refused,
    ScreenExpected,
    EyesOnTeacher,
    ScreenGone,
    EndsByItself,
    Recording,
}

impl Line {
    pub(crate) const fn text(self, language: Language) -> &'static str {
        let (english, russian) = match self {
            Self::NoLesson => ("No lesson yet", "Урок ещё не начался"),
            Self::NoBox => ("Looking for the classroom…", "Ищем кабинет в сети…"),
            Self::NotEnrolled => (
                "This computer is not part of a classroom yet",
                "Этот компьютер ещё не подключён к кабинету",
            ),
            Self::NotLetIn => {
                ("Waiting to be let into the classroom", "Ждём, когда компьютер допустят в кабинет")
            }
            Self::AgentTooOld => (
                "Alfarid on this computer needs an update",
                "Программу Alfarid на этом компьютере нужно обновить",
            ),
            Self::BoxTooOld => {
                ("The classroom's box needs an update", "Сервер кабинета нужно обновить")
            }
            Self::Refused => (
                "The classroom does not accept this computer",
                "Кабинет не принимает этот компьютер",
            ),
            Self::ScreenExpected => {
                ("The teacher's screen will be here soon", "Скоро здесь будет экран учителя")
            }
            Self::EyesOnTeacher => ("Eyes on the teacher", "Внимание на учителя"),
            Self::ScreenGone => {
                ("The teacher's screen is off", "Учитель сейчас не показывает экран")
            }
            Self::EndsByItself => (
                "No teacher is here: the lesson will soon end by itself",
                "Учителя нет: урок скоро завершится сам",
            ),
            Self::Recording => ("recording", "идёт запись"),
        };
        match language {
            Language::English => english,
            Language::Russian => russian,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_variable_decides_and_english_is_the_rest() {
        let language = |pairs: &[(&str, &str)]| {
            Language::of_environment(|name| {
                pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(language(&[("LANG", "ru_RU.UTF-8")]), Language::Russian);
        assert_eq!(language(&[("LANG", "ru_RU.UTF-8"), ("LC_ALL", "C")]), Language::English);
        assert_eq!(language(&[("LANG", "ru_RU.UTF-8"), ("LC_ALL", "")]), Language::Russian);
        assert_eq!(language(&[]), Language::English);
    }
}
